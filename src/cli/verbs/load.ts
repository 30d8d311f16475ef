import { writePatience } from "../data_settings.ts";
import { EXIT_CODES } from "../exit_codes.ts";
import { optional, pathArgument } from "../kit/argument.ts";
import { writeClientOptions } from "../options.ts";
import { chunksOf } from "../stream_error.ts";
import { defineVerb, examplesOf } from "../verb.ts";

export const load = defineVerb({
  name: "load",
  summary: "send many increments, one a line",
  details: [
    "Lines are `keyspace TAB key` or `keyspace TAB key TAB increment`, from FILE or from stdin. A " +
    "malformed line is reported by its number and counted as refused; the other lines are sent. When " +
    "everything is durable, prints `accepted N` and `refused N`. Shows progress on a terminal.",
  ],
  positionals: {
    file: optional(pathArgument("the file of lines; stdin if left out or -", "file")),
  },
  options: writeClientOptions,
  answersJson: true,
  examples: examplesOf({
    "countd load counts.tsv": "send the lines of a file",
    [`awk '{ print "pages\\t" $7 }' access.log | countd load`]: "count the paths of an access log",
  }),
  async run(context) {
    const { options, positionals, stdin, stdout, stderr, clock, json } = context;
    const { loadLines, Progress, WriteClient } = await import("../../counters/client/mod.ts");
    const path = positionals.file === "-" ? undefined : positionals.file;
    // Opened before connecting, so that a missing file is reported first.
    const file = path === undefined ? null : await Deno.open(path);
    const bytesTotal = await file?.stat().then((status) => status.isFile ? status.size : null);
    const input = chunksOf((file ?? stdin).readable, path ?? "stdin");
    using client = await WriteClient.connect(options.connect, options, writePatience(context));
    const progress = stderr.isTerminal ? new Progress((text) => stderr.write(text), clock) : null;
    const totals = await loadLines(input, client, {
      sizes: options,
      hooks: {
        malformed(line, reason) {
          progress?.clear();
          stderr.line(`countd: Line ${line} is refused: ${reason}`);
        },
        progress(bytes, lines) {
          progress?.update({ bytes, bytesTotal: bytesTotal ?? null, lines });
        },
      },
    });
    progress?.clear();
    const { accepted, refused } = totals;
    if (json) {
      stdout.json({ accepted, refused });
    } else {
      stdout.line(`accepted ${accepted}`);
      stdout.line(`refused ${refused}`);
    }
    return refused > 0n ? EXIT_CODES.refused : EXIT_CODES.ok;
  },
});
