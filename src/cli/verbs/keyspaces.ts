import { nameField, printableName } from "../../base/printable.ts";
import { openSource, SOURCE_DETAILS, sourceOptions } from "../counter_source.ts";
import { EXIT_CODES, type ExitCode } from "../exit_codes.ts";
import { defineVerb, examplesOf } from "../verb.ts";

export const keyspaces = defineVerb({
  name: "keyspaces",
  summary: "list the keyspaces and how many counters each has",
  details: [
    "Prints a line `name TAB counters` for each keyspace, in byte order of the names. " +
    SOURCE_DETAILS,
  ],
  options: sourceOptions,
  answersJson: true,
  examples: examplesOf({
    "countd keyspaces": "list the keyspaces of ./countd-data",
    "countd keyspaces --connect localhost --json": "list those of a server, as JSON",
  }),
  async run(context) {
    const { stdout, stderr } = context;
    using source = await openSource(context);
    const listed: Record<string, string | null>[] = [];
    let code: ExitCode = EXIT_CODES.ok;
    let after: Uint8Array = new Uint8Array(0);
    while (true) {
      const some = await source.keyspaces(after);
      const last = some.at(-1);
      if (last === undefined) break;
      after = last.name;
      for (const { name, counters, otherFormat } of some) {
        if (counters === null) {
          if (otherFormat === undefined) code = EXIT_CODES.corruption;
          else if (code === EXIT_CODES.ok) code = EXIT_CODES.failed;
          const what = otherFormat?.message ??
            `Keyspace ${printableName(name)} is damaged or of another format: run countd check`;
          stderr.line(`countd: ${what}`);
        }
        if (context.json) {
          const count = counters === null ? null : String(counters);
          listed.push({ ...nameField("keyspace", name), counters: count });
        } else if (counters !== null) stdout.row(name, String(counters));
      }
    }
    if (context.json) stdout.json({ keyspaces: listed });
    return code;
  },
});
