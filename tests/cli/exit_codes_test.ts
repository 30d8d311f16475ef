/** Each exit code: which errors lead to it, and how they are reported. */
import { assertEquals, assertStringIncludes } from "@std/assert";
import { AssertionError } from "../../src/base/assert.ts";
import {
  BusyError,
  ConnectError,
  CorruptError,
  FailedError,
  NotFoundError,
  RefusedError,
  UsageError,
} from "../../src/base/errors.ts";
import { EXIT_CODE_MEANINGS, EXIT_CODES } from "../../src/cli/exit_codes.ts";
import { failureOf } from "../../src/cli/failure.ts";
import { OsError } from "../../src/file/mod.ts";
import { capture } from "./capture.ts";

Deno.test("Every kind of error has its exit code and its name in JSON", () => {
  const cases: [Error, number, string][] = [
    [new FailedError("x"), 1, "failed"],
    [new UsageError("x"), 2, "usage"],
    [new NotFoundError("x"), 3, "not-found"],
    [new ConnectError("x"), 4, "cannot-connect"],
    [new RefusedError("x"), 5, "refused"],
    [new CorruptError("x", { path: "p", offset: 0 }), 6, "corruption"],
    [new BusyError("x"), 75, "try-again"],
  ];
  for (const [error, code, name] of cases) {
    assertEquals(failureOf(error), { code, name, message: "x" } as ReturnType<typeof failureOf>);
  }
});

Deno.test("Errors of the system become exit codes by their errno", () => {
  const cases: [string, number][] = [
    ["ENOSPC", 75],
    ["EDQUOT", 75],
    ["EFBIG", 75],
    ["EMFILE", 75],
    ["EAGAIN", 75],
    ["ENOENT", 3],
    ["EACCES", 1],
    ["EPERM", 1],
    ["EROFS", 6],
    ["EIO", 6],
    ["EEXIST", 1],
  ];
  for (const [errno, code] of cases) {
    const failure = failureOf(new OsError("open", "/some/file", errno));
    assertEquals([errno, failure.code], [errno, code]);
    assertStringIncludes(failure.message, "/some/file");
    assertStringIncludes(failure.message, errno);
    assertEquals(failure.stack, undefined);
  }
});

Deno.test("A missing permission says what to do", () => {
  const { message } = failureOf(new OsError("open", "/data/control", "EACCES"));
  assertStringIncludes(message, "use the user that owns the data directory");
});

Deno.test("Errors of the network become exit codes", () => {
  assertEquals(failureOf(new Deno.errors.AddrInUse("x")).code, 1);
  assertEquals(failureOf(new Deno.errors.AddrNotAvailable("x")).code, 1);
  assertEquals(failureOf(new Deno.errors.ConnectionRefused("x")).code, 4);
});

// Story: the errno in errors of the runtime was ignored, and a directory in place of a file was reported
// as a bug in countd, with a stack.
Deno.test("Errors of the runtime become exit codes by their errno, and name it", async () => {
  const cases: [() => unknown, number, string][] = [
    [() => Deno.readFileSync("/"), 1, "Is a directory (EISDIR)"],
    [() => Deno.openSync("/dev/null/x"), 1, "Not a directory (ENOTDIR)"],
    [() => Deno.openSync("/no/such/file"), 3, "No such file or directory (ENOENT)"],
    [() => Deno.mkdirSync("/"), 1, "File exists (EEXIST)"],
  ];
  for (const [fail, code, message] of cases) {
    const failure = failureOf(await thrownBy(fail));
    assertEquals([failure.code, failure.stack], [code, undefined]);
    assertStringIncludes(failure.message, message);
    assertEquals(/bug|os error/.test(failure.message), false, failure.message);
  }
  const full = Object.assign(new Error("No space left on device (os error 28)"), {
    code: "ENOSPC",
  });
  assertEquals(failureOf(full), {
    code: 75,
    name: "try-again",
    message: "No space left on device (ENOSPC): the disk is full; free some space and try again",
  });
});

Deno.test("An errno without a name is not reported as a bug", () => {
  assertEquals(failureOf(new OsError("open", "/some/file", "errno 4711")).stack, undefined);
});

Deno.test("An error with another code of the runtime is reported as a bug", () => {
  const bug = Object.assign(new TypeError("closed"), { code: "ERR_INVALID_STATE" });
  assertStringIncludes(failureOf(bug).message, "A bug in countd");
});

async function thrownBy(fail: () => unknown): Promise<unknown> {
  try {
    await fail();
  } catch (error) {
    return error;
  }
  throw new Error("It was to fail");
}

Deno.test("A bug is reported as a bug, with its stack", () => {
  for (const bug of [new AssertionError("a < b"), new TypeError("undefined"), "thrown text"]) {
    const failure = failureOf(bug);
    assertEquals(failure.code, 1);
    assertStringIncludes(failure.message, "A bug in countd");
    if (bug instanceof Error) assertEquals(failure.stack, bug.stack);
  }
});

Deno.test("The meanings in the help cover every exit code once", () => {
  assertEquals(EXIT_CODE_MEANINGS.map(([code]) => code), Object.values(EXIT_CODES));
});

Deno.test("No verb, an unknown verb and an unknown verb of a group are usage errors", async () => {
  for (
    const [texts, message] of [
      [[], "countd: No verb is named; see countd --help\n"],
      [["nothing"], 'countd: Unknown verb "nothing"; see countd --help\n'],
      [
        ["completion", "tcsh"],
        "countd: Argument WHAT must be one of bash, zsh, fish, man, " +
        'not "tcsh"\n',
      ],
    ] as const
  ) {
    assertEquals(await capture(texts), { code: 2, stdout: "", stderr: message });
  }
});

Deno.test("With --json an error is one object on stdout and nothing on stderr", async () => {
  const { code, stdout, stderr } = await capture(["config", "nothing", "--json"]);
  assertEquals([code, stderr], [3, ""]);
  assertEquals(JSON.parse(stdout), {
    error: { code: 3, name: "not-found", message: "No verb nothing; see countd --help" },
  });
  const wrong = await capture(["config", "--json", "--unknown"]);
  assertEquals([wrong.code, wrong.stderr], [2, ""]);
  assertEquals(JSON.parse(wrong.stdout).error.name, "usage");
});

Deno.test("After -- the word --json has no effect", async () => {
  const { code, stdout } = await capture(["config", "nothing", "--", "--json"]);
  assertEquals([code, stdout], [2, ""]);
});
