/** `countd db …`: the map-and-log database: serve, export, import, repair. */

import type { DatabasePaths } from "../../database/mod.ts";
import type { Storage } from "../../file/mod.ts";
import { runDaemon } from "../daemon.ts";
import { pathArgument } from "../kit/argument.ts";
import { flag, path, showAddress } from "../kit/option.ts";
import { daemonOptions, dataOption, listenOption, portOption, syncOptions } from "../options.ts";
import { decimal } from "../output.ts";
import { defineVerb, examplesOf, type ValuesOf, type VerbGroup } from "../verb.ts";

const DB_PORT = 3001;

const fileOptions = {
  data: dataOption,
  db: path({
    of: "file",
    summary: "the file of the map; further files get names made from it",
    defaultText: "DATA/db/db.json",
  }),
  log: path({
    of: "file",
    summary: "the file of the log",
    defaultText: "the file log in the same directory",
  }),
} as const;

async function pathsOf(options: ValuesOf<typeof fileOptions>): Promise<DatabasePaths> {
  // Every verb is loaded at every start, and a module of Node costs some milliseconds there.
  const { dirname } = await import("node:path/posix");
  const map = options.db ?? `${options.data}/db/db.json`;
  const directory = dirname(map);
  return { map, log: options.log ?? (directory === "/" ? "/log" : `${directory}/log`) };
}

/** Refuses the two files of a backup. */
async function refuseBackupOf(storage: Storage, { map, log }: DatabasePaths): Promise<void> {
  const { basename, dirname } = await import("node:path/posix");
  const { refuseBackup } = await import("../../counters/commitlog/mod.ts");
  for (const directory of new Set([dirname(map), dirname(log)])) {
    if (basename(directory) === "db") refuseBackup(storage, dirname(directory));
  }
}

/**
 * Refuses a data directory that is failed or under repair, and keeps repairs out until the stack is disposed.
 * Returns a signal that fires if the directory cannot be used any more.
 */
async function joinDirectory(
  storage: Storage,
  data: string,
  stack: DisposableStack,
): Promise<AbortSignal> {
  const { DataDirectory, describeSelf, DirectoryWatch } = await import(
    "../../counters/commitlog/mod.ts"
  );
  const directory = DataDirectory.openOrNull(storage, data, { self: describeSelf(storage) });
  if (directory === null) return new AbortController().signal;
  stack.use(directory);
  directory.joinDaemons();
  return stack.use(new DirectoryWatch(directory)).unusable;
}

const serve = defineVerb({
  name: "serve",
  summary: "serve the database over HTTP",
  details: [
    "GET /get/KEY, POST /set/KEY (form field or query parameter `value`, or the body), GET /status, " +
    "GET /log?from=N&limit=N. Missing files are made. JSON files of mmapd are converted at the first " +
    "start and kept as NAME.orig.",
    "The host in a request must be an IP address, localhost or the name in --listen; another host, " +
    "or a web page of another origin, is refused (403).",
    "Prints `listening on HOST:PORT` on stderr when it accepts connections. SIGTERM, SIGINT and " +
    "SIGHUP stop it cleanly.",
  ],
  options: {
    ...fileOptions,
    listen: listenOption,
    port: portOption("the port to serve HTTP on", DB_PORT),
    ...syncOptions,
    ...daemonOptions,
  },
  examples: examplesOf({
    "countd db --db db.json --log log.json": "serve two files on port 3001",
    "countd db --sync always --port 0": "sync before every answer, on a free port",
  }),
  async run(context) {
    const { options, storage, clock, events, signal } = context;
    const { init } = await import("../../database/mod.ts");
    const { serveDatabase } = await import("../../database/http/mod.ts");
    const { makeDirectories } = await import("../../file/mod.ts");
    const paths = await pathsOf(options);
    await refuseBackupOf(storage, paths);
    const isInData = options.db === undefined;
    using stack = new DisposableStack();
    const unusable = isInData
      ? await joinDirectory(storage, options.data, stack)
      : new AbortController().signal;
    if (isInData) makeDirectories(storage, `${options.data}/db`, 0o700);
    const settings = { ...options, verb: "db", data: isInData ? options.data : null };
    await runDaemon(context, settings, async (daemon) => {
      const db = init(paths.map, paths.log, {
        storage,
        clock,
        events,
        sync: options.sync,
        syncIntervalMs: options.syncInterval,
      });
      try {
        await serveDatabase(db, {
          hostname: options.listen,
          port: options.port,
          signal: AbortSignal.any([signal, unusable]),
          events,
          clock,
          metrics: daemon.metrics,
          turn: daemon.turn,
          onListening: (address) => daemon.ready(`listening on ${showAddress(address)}`),
        });
        unusable.throwIfAborted();
      } finally {
        // A failed database throws the same error here as above.
        await db.close();
      }
    });
  },
});

const exportVerb = defineVerb({
  name: "export",
  summary: "write the database as the two JSON files of mmapd",
  details: [
    "Writes db.json (one object) and log.json (an array of entries), exactly as mmapd wrote them. " +
    "Neither may exist already. The database must not be served at the same time. An import of the two " +
    "files makes the same database. If it would not (an entry is not committed, or was removed after it had " +
    "changed the map), the export is refused.",
  ],
  positionals: {
    outdir: pathArgument("the directory to write to; made if missing", "directory"),
  },
  options: fileOptions,
  answersJson: true,
  examples: examplesOf({
    "countd db export ./dump": "write ./dump/db.json and ./dump/log.json",
    "countd db export ./dump --db db.json --log log": "export these two files",
  }),
  async run({ options, positionals, storage, events, json, stdout }) {
    const { exportDatabase, init, readDatabase } = await import("../../database/mod.ts");
    const paths = await pathsOf(options);
    using read = readDatabase(storage, paths);
    await using opened = read === null
      ? init(paths.map, paths.log, { storage, events, create: false })
      : null;
    const done = exportDatabase((read ?? opened)!, storage, positionals.outdir);
    if (json) stdout.json(decimal(done));
    else stdout.facts(done);
  },
});

const importVerb = defineVerb({
  name: "import",
  summary: "make a database from the two JSON files of mmapd",
  details: [
    "Reads INDIR/db.json and INDIR/log.json (one of them may be missing): takes the map as it is, " +
    "then applies every entry of the log. The database must be new or empty.",
  ],
  positionals: { indir: pathArgument("the directory to read from", "directory") },
  options: fileOptions,
  answersJson: true,
  examples: examplesOf({
    "countd db import ./dump": "import into DATA/db",
    "countd db import ./dump --db new.json --log new-log": "import into new files",
  }),
  async run({ options, positionals, storage, json, stdout }) {
    const { importDatabase } = await import("../../database/mod.ts");
    const paths = await pathsOf(options);
    await refuseBackupOf(storage, paths);
    const done = importDatabase(storage, paths, positionals.indir);
    if (json) stdout.json(decimal(done));
    else stdout.facts(done);
  },
});

const repair = defineVerb({
  name: "repair",
  summary: "repair a damaged database",
  details: [
    "Keeps every entry and every key that can still be read, also behind damage, and reports what is " +
    "lost. Writes the repaired pair into a directory of its own. With --in-place it replaces the " +
    "damaged files, keeps them as NAME.damaged, and removes the failed mark.",
    "Also repairs files of mmapd that end with the rest of an older, longer text.",
  ],
  options: {
    ...fileOptions,
    out: path({
      of: "directory",
      summary: "the directory for the repaired pair",
      defaultText: "a directory named after the map, with .repaired",
      fromEnvironment: false,
    }),
    inPlace: flag("replace the damaged pair by the repaired one"),
  },
  answersJson: true,
  examples: examplesOf({
    "countd db repair --out ./repaired": "repair into a copy",
    "countd db repair --db db.json --log log --in-place": "replace the files themselves",
  }),
  async run({ options, storage, json, stdout }) {
    const { UsageError } = await import("../../base/errors.ts");
    const { repairDatabase } = await import("../../database/mod.ts");
    if (options.inPlace && options.out !== undefined) {
      throw new UsageError("Give either --out or --in-place");
    }
    const paths = await pathsOf(options);
    const out = options.inPlace ? null : options.out ?? `${paths.map}.repaired`;
    await refuseBackupOf(storage, paths);
    const report = repairDatabase(storage, paths, { out });
    if (json) {
      return stdout.json({ ...decimal(report), damages: report.damages.map(decimal) });
    }
    const { keys, entries, entriesLost } = report;
    stdout.facts({ keys, entries, entriesLost });
    for (const damage of report.damages) {
      stdout.line(`damage\t${damage.path}\t${damage.from}\t${damage.to}`);
    }
    for (const remark of report.remarks) stdout.line(`remark\t${remark}`);
    for (const name of report.kept) stdout.line(`kept\t${name}`);
    stdout.line(`written\t${report.written.map}\t${report.written.log}`);
  },
});

export const db: VerbGroup = {
  name: "db",
  summary: "a map and its log over HTTP, in two memory-mapped files",
  details: [
    "Serves if no verb is given. Exits 6 if a file is damaged, and then changes nothing; exits 75 if " +
    "another process has the files open or checks them.",
  ],
  verbs: [serve, exportVerb, importVerb, repair],
  defaultVerb: "serve",
};
