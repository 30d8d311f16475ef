import { runDaemon } from "../daemon.ts";
import { flag } from "../kit/option.ts";
import { daemonOptions, dataOption, listenOption, lockTimeoutOption } from "../options.ts";
import { defineVerb } from "../verb.ts";

/** How often a worker looks for a data directory that is not there yet. */
const DIRECTORY_RETRY_MS = 100;

export const worker = defineVerb({
  name: "worker",
  summary: "fold sealed commit logs into the keyspaces",
  details: [
    "One worker folds; further ones stand by and take over when it dies. Waits for a data directory " +
    "that is not there yet. Prints `worker ready` on stderr. SIGTERM, SIGINT and SIGHUP stop it " +
    "after the fold at hand.",
    "With --once it recovers every log without a living holder, folds until no sealed log remains, " +
    "and ends; the logs of living writers stay. A fold lease that is held is waited for up to " +
    "--lock-timeout.",
  ],
  positionals: {},
  options: {
    data: dataOption,
    once: flag("fold what is there and end"),
    untilStdinEnds: flag("stop, as at SIGTERM, when standard input is closed (serve uses it)"),
    lockTimeout: lockTimeoutOption,
    listen: listenOption,
    ...daemonOptions,
  },
  answersJson: false,
  examples: [
    { command: "countd worker --data ./counters", meaning: "fold for as long as it runs" },
    { command: "countd worker --once", meaning: "fold what is there, for instance after a backup" },
  ],
  async run(context) {
    const { options, storage, clock, events } = context;
    const signal = options.untilStdinEnds
      ? AbortSignal.any([context.signal, endOf(context.stdin.readable)])
      : context.signal;
    const { DataDirectory, describeSelf } = await import("../../counters/commitlog/mod.ts");
    const { Worker } = await import("../../counters/worker/mod.ts");
    const { returnLargeBlocks } = await import("../../file/mod.ts");
    returnLargeBlocks();
    const self = describeSelf(storage);
    return await runDaemon(context, { verb: "worker", ...options }, async (daemon) => {
      const environment = { clock, events, metrics: daemon.metrics };
      if (options.once) {
        using directory = DataDirectory.open(storage, options.data, { self });
        const worker = new Worker(directory, environment);
        return await worker.runOnce({ signal, lockTimeoutMs: options.lockTimeout });
      }
      let opened = DataDirectory.openOrNull(storage, options.data, { self });
      if (opened === null) {
        daemon.ready("worker ready");
        events.report("info", "waiting for a data directory", { data: options.data });
      }
      while (opened === null) {
        if (signal.aborted) return;
        await clock.sleep(DIRECTORY_RETRY_MS, signal);
        opened = DataDirectory.openOrNull(storage, options.data, { self });
      }
      using directory = opened;
      await new Worker(directory, environment).run(signal, () => {
        if (daemon.metrics.state === "starting") daemon.ready("worker ready");
      });
    });
  },
});

/** Fires when a stream ends or breaks; what it brings is not looked at. */
function endOf(stream: ReadableStream<Uint8Array>): AbortSignal {
  const ended = new AbortController();
  const end = () => ended.abort();
  stream.pipeTo(new WritableStream()).then(end, end);
  return ended.signal;
}
