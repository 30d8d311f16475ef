/**
 * Every option has an effect, and a test that shows it. Each option in the table of verbs must be in a
 * list of effects, or in the list of tests elsewhere.
 */
import { assert, assertEquals } from "@std/assert";
import { commandsOf } from "../../src/cli/kit/commands.ts";
import { VERBS } from "../../src/cli/table.ts";
import { optionName } from "../../src/cli/verb.ts";
import { clientEffects } from "./client_effects.ts";
import { capture } from "./capture.ts";
import { daemonEffects } from "./daemon_effects.ts";
import { storeEffects } from "./store_effects.ts";
import { workEffects } from "./work_effects.ts";
import { withTemporaryDirectory } from "../support/temporary.ts";

/** Tests elsewhere: the option, the file below `tests/`, and the beginning of the test's name. */
const shownElsewhere: Readonly<Record<string, readonly [string, string]>> = {
  "config --data": ["cli/verbs_test.ts", "config shows the sizes that a data directory keeps"],
  "log repair --size": ["aof/repair_test.ts", "countd log repair makes a file usable"],
  "systemd --binary": ["cli/verbs_test.ts", "systemd takes another executable, place and user"],
  "systemd --root": ["cli/verbs_test.ts", "systemd takes another executable, place and user"],
  "systemd --user": ["cli/verbs_test.ts", "systemd takes another executable, place and user"],
};

const effects = { ...daemonEffects, ...clientEffects, ...storeEffects, ...workEffects };

Deno.test("Every option in the table has a test of its effect, and every such test has an option", () => {
  const options = commandsOf(VERBS).flatMap(({ path, verb }) =>
    Object.keys(verb.options).map((key) => `${path.join(" ")} --${optionName(key)}`)
  );
  const shown = [...Object.keys(effects), ...Object.keys(shownElsewhere)];
  assertEquals(shown.filter((one) => !options.includes(one)), [], "tests without an option");
  assertEquals(options.filter((one) => !shown.includes(one)), [], "options without a test");
  for (const [file, name] of Object.values(shownElsewhere)) {
    const text = Deno.readTextFileSync(new URL(`../${file}`, import.meta.url));
    assert(text.includes(`"${name}`), `${file} has no test "${name}…"`);
  }
});

Deno.test("Every verb with --json answers with one object, also when it fails", async () => {
  for (const { path, verb } of commandsOf(VERBS)) {
    if (!verb.answersJson) continue;
    await withTemporaryDirectory(async (directory) => {
      const words = Object.values(verb.positionals)
        .filter(({ presence }) => presence === "required")
        .map(() => "word");
      // The directory does not exist, and no server listens on the reserved port.
      const args = [...path, ...words, "--json"];
      if ("data" in verb.options) args.push("--data", `${directory}/missing`);
      else if ("connect" in verb.options) args.push("--connect", "127.0.0.1:1");
      const { code, stdout, stderr } = await capture(args);
      assertEquals([stderr, stdout.split("\n").length], ["", 2], path.join(" "));
      const answer = JSON.parse(stdout);
      if ("error" in answer) assertEquals(answer.error.code, code);
      else assertEquals(code, 0);
    });
  }
});

for (const [option, show] of Object.entries(effects)) {
  Deno.test(`countd ${option} has its effect`, show);
}
