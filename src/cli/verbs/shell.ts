/** `countd shell`: a prompt, or commands from `-c` or a pipe. */

import { READ_PORT, WRITE_PORT } from "../../counters/wire/mod.ts";
import { address, choice, flag, text } from "../kit/option.ts";
import {
  clientKeySizeOption,
  clientKeyspaceSizeOption,
  dataOption,
  lockTimeoutOption,
  waitElsewhereOption,
} from "../options.ts";
import { BrokenPipe } from "../output.ts";
import { chunksOf } from "../stream_error.ts";
import { defineVerb, examplesOf } from "../verb.ts";

const MODES = ["table", "json", "raw"] as const;

export const shell = defineVerb({
  name: "shell",
  summary: "work with tables and counters at a prompt, or from a script",
  details: [
    "At a terminal it shows a prompt: Tab completes, Ctrl-R searches the history, Ctrl-C clears the " +
    "line, Ctrl-D leaves, and .help lists the commands. A line that begins with a space is not " +
    "kept in the history.",
    "With -c, or with commands on stdin, it shows no prompt and ends at the first error with its " +
    "exit code. Commands are separated by line ends, or by ; outside quotes.",
    "incr appends to a commit log of the data directory, or sends to a server with --connect. On a full " +
    "disk it waits for space as long as for a lock. " +
    "Counters are read from the data directory, or from a server with --connect-read.",
  ],
  options: {
    data: dataOption,
    command: text({
      summary: "run these commands and exit",
      placeholder: "COMMANDS",
      short: "c",
      fromEnvironment: false,
    }),
    keepGoing: flag("go on after an error; the exit code is that of the first one"),
    mode: choice({
      of: MODES,
      summary: "the form of answers",
      defaultText: "table at a terminal, else raw",
      fromEnvironment: false,
    }),
    lockTimeout: lockTimeoutOption,
    connect: address({
      summary: "send increments to the write port of this server",
      defaultPort: WRITE_PORT,
      // COUNTD_CONNECT means the read port to some verbs and the write port to others.
      fromEnvironment: false,
    }),
    connectRead: address({
      summary: "read counters from the read port of this server",
      defaultPort: READ_PORT,
      fromEnvironment: false,
    }),
    wait: waitElsewhereOption,
    keyspaceSize: clientKeyspaceSizeOption,
    keySize: clientKeySizeOption,
  },
  examples: examplesOf({
    "countd shell --data ./counters": "start a prompt",
    "countd shell -c 'use jobs; set next 17; keys'": "run three commands, as from stdin",
  }),
  async run(context) {
    const { options, storage, clock, stdin, stdout, stderr, environment } = context;
    const { counterAccess, History, historyPath, linesOf, runInteractive, runScript, Session } =
      await import("../../shell/mod.ts");
    const { failureOf } = await import("../failure.ts");
    const { directoryPaths } = await import("../../counters/commitlog/mod.ts");
    const { prepareToWrite } = await import("../prepare_to_write.ts");
    const isInteractive = options.command === undefined && stdin.isTerminal() && stdout.isTerminal;
    const paths = directoryPaths(options.data);
    const report = (error: unknown) => {
      // Without a reader of stdout the shell ends.
      if (error instanceof BrokenPipe) throw error;
      const { message, stack } = failureOf(error);
      const line = isInteractive ? `error: ${message}` : `countd: ${message}`;
      if (stderr.hasColor) stderr.write(`\x1b[31m${line}\x1b[0m\n`);
      else stderr.line(line);
      if (stack !== undefined) stderr.line(stack);
      stderr.flush();
    };
    await using session = new Session({
      storage,
      tables: paths.tables,
      lockTimeoutMs: options.lockTimeout,
      mode: options.mode ?? (stdout.isTerminal ? "table" : "raw"),
      clock,
      counters: counterAccess({
        storage,
        data: options.data,
        clock,
        // Events of level info are for the logs of daemons, not for a prompt.
        events: {
          report: (level, event, fields) => {
            if (level !== "info") context.events.report(level, event, fields);
          },
        },
        writeTo: options.connect ?? null,
        readFrom: options.connectRead ?? null,
        serverSizes: options,
        waitMs: options.wait,
        spaceTimeoutMs: options.lockTimeout,
      }),
      prepareToWrite: (making) => prepareToWrite(storage, options.data, making),
    });
    if (isInteractive) {
      stdout.line("countd shell: .help lists the commands, Ctrl-D leaves");
      await runInteractive(session, {
        output: stdout,
        remarks: stdout,
        history: new History(storage, historyPath(environment), clock),
        report,
        signal: context.signal,
      });
      return;
    }
    const lines = options.command?.split("\n") ?? linesOf(chunksOf(stdin.readable, "stdin"));
    const failed = await runScript(session, lines, {
      output: stdout,
      remarks: stderr,
      keepGoing: options.keepGoing,
      report,
    });
    if (failed !== null) return failureOf(failed.firstError).code;
  },
});
