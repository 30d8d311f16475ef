/** The completions and the man page, in the programs that read them. */
import { assert, assertEquals } from "@std/assert";
import { completionFor } from "../../src/cli/kit/completion.ts";
import { manPage } from "../../src/cli/kit/man_page.ts";
import { choiceArgument, pathArgument } from "../../src/cli/kit/argument.ts";
import { choice, flag, path } from "../../src/cli/kit/option.ts";
import { VERBS } from "../../src/cli/table.ts";
import { defineVerb, type VerbTable } from "../../src/cli/verb.ts";
import { withTemporaryDirectory } from "../support/temporary.ts";

const example = { command: "countd feed", meaning: "a sample: it's [all]" };
const run = () => Promise.resolve(0 as const);

/** A small table with every kind of option, and with characters that are special in shells. */
const sample: VerbTable = [
  defineVerb({
    name: "feed",
    summary: "isn't [any] of: $HOME `ls`",
    positionals: { file: pathArgument("a file", "file") },
    options: {
      place: path({ of: "directory", summary: "a place: [here]" }),
      mode: choice({ of: ["slow", "fast"], summary: "it's a mode", short: "m" }),
      dry: flag("a flag"),
    },
    answersJson: true,
    examples: [example, example],
    run,
  }),
  {
    name: "group",
    summary: "verbs below a verb",
    verbs: [defineVerb({
      name: "inner",
      summary: "an inner verb",
      positionals: { what: choiceArgument("a word", ["alpha", "beta"]) },
      options: { deep: flag("a deep flag") },
      answersJson: false,
      examples: [example, example],
      run,
    })],
  },
];

async function output(command: string, args: string[], stdin = ""): Promise<string> {
  const child = new Deno.Command(command, {
    args,
    stdin: "piped",
    stdout: "piped",
    stderr: "piped",
    env: { LC_ALL: "C.UTF-8", MANWIDTH: "80", MANPAGER: "cat", TERM: "dumb" },
  }).spawn();
  const writer = child.stdin.getWriter();
  // If a program ends without reading its input, its exit code decides.
  await writer.write(new TextEncoder().encode(stdin)).then(() => writer.close()).catch(() => {});
  const { code, stdout, stderr } = await child.output();
  const errors = new TextDecoder().decode(stderr);
  assertEquals([code, errors], [0, ""], `${command} ${args.join(" ")}`);
  return new TextDecoder().decode(stdout);
}

async function isInstalled(program: string): Promise<boolean> {
  const { success } = await new Deno.Command("sh", {
    args: ["-c", `command -v ${program}`],
    stdout: "null",
  }).output();
  if (!success) console.log(`not run: needs ${program}`);
  return success;
}

/** Returns the words that a shell offers for the last word of a command line. */
type Offer = (words: string[]) => Promise<string[]>;

async function assertOffers(offer: Offer): Promise<void> {
  assertEquals(await offer(["fe"]), ["feed"]);
  assertEquals(await offer(["gr"]), ["group"]);
  assertEquals(await offer(["group", "in"]), ["inner"]);
  assertEquals(await offer(["group", "inner", "--de"]), ["--deep"]);
  assertEquals(await offer(["group", "inner", "al"]), ["alpha"]);
  assertEquals(await offer(["feed", "--d"]), ["--dry"]);
  assertEquals(await offer(["feed", "--j"]), ["--json"]);
  assertEquals(await offer(["feed", "--mode", "f"]), ["fast"]);
  assertEquals(await offer(["feed", "-m", "s"]), ["slow"]);
}

Deno.test("bash loads the completion and offers what matches", async () => {
  if (!await isInstalled("bash")) return;
  await withTemporaryDirectory(async (directory) => {
    const script = `${directory}/countd.bash`;
    Deno.writeTextFileSync(script, completionFor("bash", sample));
    Deno.mkdirSync(`${directory}/apple pie`);
    Deno.writeTextFileSync(`${directory}/apple.txt`, "");
    const offer: Offer = async (words) => {
      const program = `cd "$1"; source "$2"; shift 2; COMP_WORDS=("$@"); ` +
        `COMP_CWORD=$(($# - 1)); compopt() { :; }; _countd; printf '%s\\n' "\${COMPREPLY[@]}"`;
      const args = ["-c", program, "bash", directory, script, "countd", ...words];
      return (await output("bash", args)).split("\n").filter((line) => line !== "").sort();
    };
    await assertOffers(offer);
    assertEquals(await offer(["feed", "app"]), ["apple pie", "apple.txt"]);
    assertEquals(await offer(["feed", "--place", "app"]), ["apple pie"]);
  });
});

Deno.test("fish loads the completion and offers what matches", async () => {
  if (!await isInstalled("fish")) return;
  await withTemporaryDirectory(async (directory) => {
    const script = `${directory}/countd.fish`;
    Deno.writeTextFileSync(script, completionFor("fish", sample));
    Deno.mkdirSync(`${directory}/home`);
    const offer: Offer = async (words) => {
      const line = ["countd", ...words].join(" ");
      const program = `source $argv[1]; complete -C "${line}"`;
      const text = await output("env", [
        `HOME=${directory}/home`,
        "fish",
        "--no-config",
        "-c",
        program,
        script,
      ]);
      return text.split("\n").filter((one) => one !== "").map((one) =>
        one.split("\t")[0] as string
      );
    };
    await assertOffers(offer);
  });
});

Deno.test("zsh loads the completion and offers what matches", async () => {
  if (!await isInstalled("zsh")) return;
  await withTemporaryDirectory(async (directory) => {
    Deno.writeTextFileSync(`${directory}/_countd`, completionFor("zsh", sample));
    const offer: Offer = async (words) => {
      const line = ["countd", ...words].join(" ");
      const text = await output("zsh", ["-f", "-c", zshCapture, "zsh", directory, line]);
      return text.split("\n").map((one) => one.trim()).filter((one) => one !== "").sort();
    };
    await assertOffers(offer);
  });
});

/** Types a line into a new zsh and returns what its completion would insert. */
const zshCapture = `
zmodload zsh/zpty
zpty -b shell zsh -f -i
zpty -w shell "PS1=; stty -echo; fpath=($1 \\$fpath); autoload -U compinit; compinit -C -d $1/dump"
zpty -w shell 'finish() { print -r -- "OFF""ER<$BUFFER>"; zle kill-buffer; }; zle -N finish'
zpty -w shell 'bindkey "^X" finish; setopt no_list_ambiguous no_beep; echo REA""DY'
integer tries=0
local seen= chunk=
while [[ $seen != *READY* ]] && (( tries++ < 3000 )); do
  zpty -r -t shell chunk && seen+=$chunk || sleep 0.01
done
zpty -w -n shell "$2"$'\\t\\x18'
seen=
tries=0
while [[ $seen != *'OFFER<'*'>'* ]] && (( tries++ < 3000 )); do
  zpty -r -t shell chunk && seen+=$chunk || sleep 0.01
done
seen=\${seen#*OFFER<}; seen=\${seen%%>*}
print -r -- "\${\${seen%% }##* }"
zpty -d shell
`;

Deno.test("The man page renders without a warning", async () => {
  if (!await isInstalled("man")) return;
  await withTemporaryDirectory(async (directory) => {
    for (const [index, table] of [sample, VERBS].entries()) {
      const file = `${directory}/countd${index}.1`;
      Deno.writeTextFileSync(file, manPage(table));
      const text = await output("man", ["--warnings=w", "-l", file]);
      assert(text.includes("COUNTD(1)"), text.slice(0, 200));
      for (const entry of table) assert(text.includes(`countd ${entry.name}`), entry.name);
      assert(text.includes("EXIT STATUS") && text.includes("ENVIRONMENT"));
    }
    const sampleText = await output("man", ["-l", `${directory}/countd0.1`]);
    assert(sampleText.includes("Isn't [any] of: $HOME `ls`."), sampleText);
  });
});

Deno.test("Every shell accepts the completion of the whole table", async () => {
  await withTemporaryDirectory(async (directory) => {
    for (const shell of ["bash", "zsh", "fish"] as const) {
      const script = `${directory}/${shell}`;
      Deno.writeTextFileSync(script, completionFor(shell, VERBS));
      if (await isInstalled(shell)) await output(shell, ["-n", script]);
    }
  });
});
