import { runDaemon, serveUntilStopped, waitForDirectory } from "../daemon.ts";
import { wantedSizes } from "../data_settings.ts";
import { showAddress } from "../kit/option.ts";
import {
  dataOption,
  listenOption,
  messageServerOptions,
  portOption,
  staleOption,
} from "../options.ts";
import { READ_PORT } from "../../counters/wire/mod.ts";
import { defineVerb, examplesOf } from "../verb.ts";

export const read = defineVerb({
  name: "read",
  summary: "serve top lists, ranks and values over TCP",
  details: [
    "Waits for the data directory if it does not exist yet. Prints `listening on HOST:PORT` on stderr " +
    "when it accepts connections. Answers hold every increment that was accepted before the request. " +
    "SIGTERM, SIGINT and SIGHUP stop it cleanly.",
  ],
  options: {
    data: dataOption,
    listen: listenOption,
    port: portOption("the port to answer on", READ_PORT),
    stale: staleOption,
    ...messageServerOptions,
  },
  examples: examplesOf({
    "countd read --data ./counters": "answer on port 48880",
    "countd read --stale --port 0": "answer from folded counters alone, on a free port",
  }),
  async run(context) {
    const { options, clock, events, signal } = context;
    const { ReadServer } = await import("../../counters/read/mod.ts");
    const wanted = wantedSizes(options);
    await runDaemon(context, { verb: "read", ...options }, async (daemon) => {
      using directory = await waitForDirectory(context, options.data, {
        readiness: daemon.metrics.readiness,
        wanted,
        access: "read",
      });
      if (directory === null) return;
      const server = new ReadServer(directory, {
        hostname: options.listen,
        port: options.port,
        maxConnections: options.maxConnections,
        stale: options.stale,
      }, { clock, events, metrics: daemon.metrics, turn: daemon.turn });
      daemon.ready(`listening on ${showAddress(server.address)}`);
      await serveUntilStopped(signal, server);
    });
  },
});
