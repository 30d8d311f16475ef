import { runDaemon, waitForDirectory } from "../daemon.ts";
import { flag } from "../kit/option.ts";
import { daemonOptions, dataOption, listenOption, lockTimeoutOption } from "../options.ts";
import { defineVerb, examplesOf } from "../verb.ts";

export const worker = defineVerb({
  name: "worker",
  summary: "fold sealed commit logs into the keyspaces",
  details: [
    "One worker folds; the others wait and take over when it dies. Waits for the data directory if " +
    "it does not exist yet. Prints `worker ready` on stderr. SIGTERM, SIGINT and SIGHUP stop it " +
    "after the current fold.",
    "With --once it recovers every log whose writer died, folds until no sealed log remains, and " +
    "ends; it leaves the logs of running writers alone. It waits for the fold lease up to " +
    "--lock-timeout.",
  ],
  options: {
    data: dataOption,
    once: flag("fold all sealed logs once, then end"),
    untilStdinEnds: flag("stop, as at SIGTERM, when standard input is closed (used by serve)"),
    lockTimeout: lockTimeoutOption,
    listen: listenOption,
    ...daemonOptions,
  },
  examples: examplesOf({
    "countd worker --data ./counters": "fold until it is stopped",
    "countd worker --once": "fold all sealed logs, for instance after restore",
  }),
  async run(context) {
    const { options, storage, clock, events } = context;
    const signal = options.untilStdinEnds
      ? AbortSignal.any([context.signal, endOf(context.stdin.readable)])
      : context.signal;
    const { DataDirectory, describeSelf } = await import("../../counters/commitlog/mod.ts");
    const { Worker } = await import("../../counters/worker/mod.ts");
    const { returnLargeBlocks } = await import("../../file/mod.ts");
    returnLargeBlocks();
    await runDaemon(context, { verb: "worker", ...options }, async (daemon) => {
      const environment = { clock, events, metrics: daemon.metrics };
      if (options.once) {
        const self = describeSelf(storage);
        using directory = DataDirectory.open(storage, options.data, { self });
        const worker = new Worker(directory, environment);
        return await worker.runOnce({ signal, lockTimeoutMs: options.lockTimeout });
      }
      using directory = await waitForDirectory({ ...environment, storage, signal }, options.data, {
        readiness: daemon.metrics.readiness,
        onWait: () => daemon.ready("worker ready"),
      });
      if (directory === null) return;
      await new Worker(directory, environment).run(signal, () => {
        if (daemon.metrics.readiness.state === "starting") daemon.ready("worker ready");
      });
    });
  },
});

/** Returns a signal that fires when a stream ends or fails; its bytes are ignored. */
function endOf(stream: ReadableStream<Uint8Array>): AbortSignal {
  const ended = new AbortController();
  const end = () => ended.abort();
  stream.pipeTo(new WritableStream()).then(end, end);
  return ended.signal;
}
