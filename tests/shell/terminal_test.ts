/** The shell in a real terminal. */

import { assert, assertEquals, assertMatch } from "@std/assert";
import { countdCommand, runCountd } from "../support/process.ts";
import { withTemporaryDirectory } from "../support/temporary.ts";
import { waitUntil } from "../support/wait.ts";
import { quoted, Terminal, tmuxIsInstalled } from "./terminal.ts";
import { assertLeft, isAlive, shellPid, withShell } from "./shell_in_terminal.ts";

Deno.test("At a terminal answers are aligned, counted, and safe to look at", async () => {
  await withShell(async (terminal) => {
    await terminal.type('set greeting "hello\\x1b[31m\\n"; set b 2; use t/u; set "c d" é');
    await terminal.press("Enter");
    await terminal.shows("ok", "ok", "ok", "ok", "countd:t/u>");
    await terminal.type("use; get greeting; each; tables");
    await terminal.press("Enter");
    await terminal.shows(
      "ok",
      "hello\\x1b[31m\\x0a",
      "key       value",
      "b         2",
      "greeting  hello\\x1b[31m\\x0a",
      "(2 rows)",
      "t/u",
      "(1 row)",
      "countd>",
    );
    await terminal.type(".mode json; each; .mode raw; each; get missing");
    await terminal.press("Enter");
    await terminal.shows(
      "ok",
      '{"entries":[{"key":"b","value":"2"},{"key":"greeting","value":"hello\\u001b[31m\\n',
      '"}]}',
      "(2 rows)",
      "ok",
      "b       2",
      "greeting        hello\\x1b[31m\\x0a",
      "(2 rows)",
      'error: Key "missing" is not in the root table',
      "countd>",
    );
    await terminal.type(".timing on");
    await terminal.press("Enter");
    await terminal.type("keys");
    await terminal.press("Enter");
    await waitUntil(
      "the time",
      async () => /^\(2 rows, \d+\.\d ms\)$/.test((await terminal.lines()).at(-2) ?? ""),
    );
  });
});

Deno.test("The arrows bring history back, also in the next shell, except lines that begin with a blank", async () => {
  await withShell(async (terminal, { history }) => {
    for (const line of ["set a 1", "set b 2", "set b 2", " set secret 3", "get a"]) {
      await terminal.type(line);
      await terminal.press("Enter");
      await terminal.shows(line.startsWith("get") ? "1" : "ok", "countd>");
    }
    await terminal.press("Up", "Up");
    await terminal.shows("countd> set b 2");
    await terminal.press("Up", "Down");
    await terminal.shows("countd> set b 2");
    await terminal.press("C-d");
    await terminal.shows("countd> set b 2");
    await terminal.press("C-c", "C-d");
    await assertLeft(terminal, 0);
    assertEquals(Deno.readTextFileSync(history), "set a 1\nset b 2\nget a\n");
    assertEquals((Deno.statSync(history).mode ?? 0) & 0o7777, 0o600);
  });
});

Deno.test("A shell loads the history of earlier ones, and two shells append to it at the same time", async () => {
  if (!tmuxIsInstalled()) return;
  await withTemporaryDirectory(async (directory) => {
    const env = { XDG_STATE_HOME: `${directory}/state` };
    const command = countdCommand(["shell", "--data", `${directory}/data`]).map(quoted).join(" ");
    const open = async (name: string) => {
      Deno.mkdirSync(`${directory}/${name}`);
      return await Terminal.open(command, { directory: `${directory}/${name}`, env });
    };
    await using one = await open("1");
    await using other = await open("2");
    for (const terminal of [one, other]) {
      await terminal.shows("countd shell: .help lists the commands, Ctrl-D leaves", "countd>");
    }
    for (let round = 0; round < 5; round++) {
      for (const [terminal, name] of [[one, "one"], [other, "other"]] as const) {
        await terminal.type(`set ${name}-${round} v`);
        await terminal.press("Enter");
        await terminal.shows(`countd> set ${name}-${round} v`, "ok", "countd>");
      }
    }
    const lines = Deno.readTextFileSync(`${directory}/state/countd/history`).trimEnd().split("\n");
    assertEquals(lines.length, 10);
    await using third = await open("3");
    await third.shows("countd shell: .help lists the commands, Ctrl-D leaves", "countd>");
    await third.press("Up");
    await third.shows("countd> set other-4 v");
    await third.press("Up");
    await third.shows("countd> set one-4 v");
  });
});

Deno.test("Ctrl-R finds the newest line that contains what is typed, then older ones", async () => {
  await withShell(async (terminal) => {
    for (const line of ["set apple 1", "set banana 2", "get apple", "keys"]) {
      await terminal.type(line);
      await terminal.press("Enter");
    }
    await terminal.shows("apple", "banana", "(2 rows)", "countd>");
    await terminal.type("half typed");
    await terminal.press("C-r");
    await terminal.shows("(reverse-i-search)'':");
    await terminal.type("app");
    await terminal.shows("(reverse-i-search)'app': get apple");
    await terminal.press("C-r");
    await terminal.shows("(reverse-i-search)'app': set apple 1");
    await terminal.press("C-r");
    await terminal.shows("(failed reverse-i-search)'app': set apple 1");
    await terminal.press("C-g");
    await terminal.shows("countd> half typed");
    await terminal.press("C-u", "C-r");
    await terminal.type("banx");
    await terminal.press("BSpace");
    await terminal.shows("(reverse-i-search)'ban': set banana 2");
    await terminal.press("Left");
    await terminal.shows("countd> set banana 2");
    await terminal.press("Right", "BSpace");
    await terminal.type("3; get banana");
    await terminal.press("Enter");
    await terminal.shows("countd> set banana 3; get banana", "ok", "3", "countd>");
    await terminal.press("C-r");
    await terminal.type("keys");
    await terminal.press("Enter");
    await terminal.shows("countd> keys", "apple", "banana", "(2 rows)", "countd>");
  });
});

Deno.test("Tab completes commands, tables, keys, keyspaces, counters and settings", async () => {
  const setUp = [
    "set apple 1; set apricot 2; set 'b c' 3",
    "use orders/open; set o1 v; use orders/shut; set o2 v",
    "incr pages /index.html 3; incr pages /about.html; incr downloads x.zip",
  ];
  await withShell(async (terminal) => {
    const completes = async (typed: string, completed: string) => {
      await terminal.type(typed);
      await terminal.press("Tab");
      await terminal.shows(`countd> ${completed}`);
      await terminal.press("C-c");
      await terminal.shows("countd>");
    };
    await completes("ke", "keys");
    await completes("keysp", "keyspaces");
    await completes("de", "delete");
    await completes(".t", ".timing");
    await completes("get app", "get apple");
    await completes("get ap", "get ap");
    await completes("get b", 'get b" c"');
    await completes('get "b', 'get "b c"');
    await completes("keys; get 'b", "keys; get 'b c'");
    await completes("use or", "use orders/");
    await completes("top pa", "top pages");
    await completes("count pages /i", "count pages /index.html");
    await completes("rank downloads ", "rank downloads x.zip");
    await completes(".mode j", ".mode json");
    await completes(".timing of", ".timing off");
    await completes(".help ran", ".help rank");
    await completes("get nothing-like-it", "get nothing-like-it");
    await waitUntil("the candidates", async () => {
      // Two Tabs that arrive together count as a paste: try again.
      await terminal.press("C-u");
      await terminal.type("get ap");
      await terminal.press("Tab", "Tab");
      return (await terminal.lines()).some((line) => /^apple\s+apricot$/.test(line));
    });
  }, { setUp });
});

Deno.test("Ctrl-C clears the line and ends a wait for a lock; Ctrl-D leaves only an empty line", async () => {
  await withShell(async (terminal, { data }) => {
    await terminal.type("set a 1");
    await terminal.press("Home");
    await terminal.type("not ");
    await terminal.press("C-c");
    await terminal.shows("countd> ^C", "countd>");
    await terminal.type("get a");
    await terminal.press("Home", "C-d", "End", "BSpace", "C-d");
    await terminal.shows("countd> et");
    await terminal.press("C-c");
    const file = Deno.openSync(`${data}/tables/a.kv`);
    try {
      file.lockSync(true);
      await terminal.type("get a; keys");
      await terminal.press("Enter");
      await terminal.shows("countd> get a; keys");
      await terminal.press("C-c");
      await terminal.shows(
        "countd> get a; keys",
        "^C",
        "error: Interrupted",
        "a",
        "(1 row)",
        "countd>",
      );
    } finally {
      file.close();
    }
    await terminal.press("C-d");
    await assertLeft(terminal, 0);
  }, { words: ["--lock-timeout", "600s"], setUp: ["set a old"] });
});

Deno.test("Lines that are pasted together run one after the other", async () => {
  await withShell(async (terminal) => {
    await terminal.type("set a 1\nset b 2\nkeys\nget a");
    await terminal.shows(
      "countd> set a 1",
      "ok",
      "countd> set b 2",
      "ok",
      "countd> keys",
      "a",
      "b",
      "(2 rows)",
      "countd> get a",
    );
    await terminal.press("Enter");
    await terminal.shows("countd> get a", "1", "countd>");
  });
});

Deno.test("A long line is pasted in a moment", async () => {
  // Story: each letter measured the whole line, so 8 KB took 40 s.
  await withShell(async (terminal) => {
    const value = "0123456789abcdef".repeat(500);
    const startMs = performance.now();
    await terminal.type(`set long "${value}"`);
    await terminal.press("Enter");
    await terminal.shows("ok", "countd>");
    const tookMs = performance.now() - startMs;
    assert(tookMs < 5000, `${tookMs} ms`);
    await terminal.type("get long");
    await terminal.press("Enter");
    await waitUntil("the value", async () => {
      return (await terminal.lines()).join("").includes(`get long${value}`);
    });
  });
});

Deno.test("A line that is wider than the terminal can be edited, also after a resize", async () => {
  await withShell(async (terminal) => {
    const value = "0123456789".repeat(8);
    await terminal.type(`set k ${value}`);
    await terminal.resize(50, 30);
    await terminal.type("END");
    await terminal.press("C-a");
    await terminal.type("use; ");
    await terminal.press("C-e", "BSpace", "BSpace", "BSpace", "Enter");
    await waitUntil(
      "both answers",
      async () => (await terminal.lines()).filter((line) => line === "ok").length === 2,
    );
    await terminal.type("get k");
    await terminal.press("Enter");
    await terminal.shows("countd> get k", value.slice(0, 50), value.slice(50), "countd>");
  }, { columns: 70, rows: 30 });
});

Deno.test("Ctrl-Z restores the terminal, and fg continues with the same line", async () => {
  if (!tmuxIsInstalled()) return;
  await withTemporaryDirectory(async (directory) => {
    const command = countdCommand(["shell", "--data", `${directory}/data`]).map(quoted).join(" ");
    await using terminal = await Terminal.open("PS1='sh$ ' exec bash --norc --noprofile -i", {
      directory,
      env: { XDG_STATE_HOME: `${directory}/state` },
    });
    await terminal.shows("sh$");
    await terminal.type(`clear; ${command}`);
    await terminal.press("Enter");
    await terminal.shows("countd shell: .help lists the commands, Ctrl-D leaves", "countd>");
    await terminal.type("set a ");
    await terminal.press("C-z");
    await waitUntil(
      "the job to stop",
      async () => (await terminal.lines()).some((line) => line.includes("Stopped")),
    );
    await terminal.type("stty -a | grep -o -e -icanon -e icanon");
    await terminal.press("Enter");
    await terminal.shows("icanon", "sh$");
    await terminal.type("fg");
    await terminal.press("Enter");
    await waitUntil("the line", async () => (await terminal.lines()).at(-1) === "countd> set a");
    await terminal.type("1; get a");
    await terminal.press("Enter");
    await terminal.shows("countd> set a 1; get a", "ok", "1", "countd>");
  });
});

Deno.test("The terminal reads lines again after SIGTERM, SIGHUP and SIGINT", async () => {
  for (const signal of ["SIGTERM", "SIGHUP", "SIGINT"] as const) {
    await withShell(async (terminal, { data }) => {
      await terminal.type("half a li");
      await terminal.shows("countd> half a li");
      Deno.kill(shellPid(data), signal);
      await assertLeft(terminal, 0);
    });
  }
});

Deno.test("The shell ends when its terminal goes away", async () => {
  if (!tmuxIsInstalled()) return;
  await withTemporaryDirectory(async (directory) => {
    const data = `${directory}/data`;
    const command = countdCommand(["shell", "--data", data]).map(quoted).join(" ");
    const env = { XDG_STATE_HOME: `${directory}/state` };
    const terminal = await Terminal.open(command, { directory, env });
    await terminal.shows("countd shell: .help lists the commands, Ctrl-D leaves", "countd>");
    const pid = shellPid(data);
    await terminal[Symbol.asyncDispose]();
    await waitUntil("the shell to end", () => !isAlive(pid));
  });
});

Deno.test("quit, exit and \\q leave, and nothing after them on the line runs", async () => {
  for (const word of [".quit", "exit", "\\q"]) {
    await withShell(async (terminal, { data }) => {
      await terminal.type(`set a 1; ${word}; set b 2`);
      await terminal.press("Enter");
      await assertLeft(terminal, 0);
      const { text } = await runCountd(["kv", "keys", "--data", data]);
      assertEquals(text, "a\n");
    });
  }
});

Deno.test("Other processes see the increments of a shell at a prompt at once", async () => {
  await withShell(async (terminal, { data }) => {
    await terminal.type("incr pages /index.html 9007199254740993");
    await terminal.press("Enter");
    await terminal.shows("ok", "countd>");
    const { code, text } = await runCountd(["top", "pages", "--data", data]);
    assertEquals([code, text], [0, "9007199254740993\t/index.html\n"]);
    await terminal.press("C-d");
    await assertLeft(terminal, 0);
    assertMatch(
      (await runCountd(["get", "pages", "/index.html", "--data", data])).text,
      /^9007199254740993\n$/,
    );
  });
});
