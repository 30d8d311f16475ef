import { runDaemon, serveUntilStopped } from "../daemon.ts";
import { logWriterOptions, wantedSizes } from "../data_settings.ts";
import { flag, showAddress } from "../kit/option.ts";
import {
  dataOption,
  listenOption,
  logOptions,
  maxKeyspacesOption,
  messageServerOptions,
  portOption,
} from "../options.ts";
import { WRITE_PORT } from "../../counters/wire/mod.ts";
import { defineVerb, examplesOf } from "../verb.ts";

export const write = defineVerb({
  name: "write",
  summary: "accept increments over TCP into the commit logs",
  details: [
    "Makes the data directory if it is missing. Prints `listening on HOST:PORT` on stderr when it " +
    "accepts connections. SIGTERM, SIGINT and SIGHUP stop it cleanly: what was read is first made " +
    "durable and answered.",
  ],
  options: {
    data: dataOption,
    listen: listenOption,
    port: portOption("the port to take increments on", WRITE_PORT),
    ack: flag("answer WIN or NAY to every message once it is durable"),
    maxKeyspaces: maxKeyspacesOption,
    ...logOptions,
    ...messageServerOptions,
  },
  examples: examplesOf({
    "countd write --data ./counters": "accept increments on port 48879",
    "countd write --sync always --ack --port 0": "sync before every answer, on a free port",
  }),
  async run(context) {
    const { options, storage, clock, events, signal } = context;
    const { slotsOfBacklog, DataDirectory, describeSelf } = await import(
      "../../counters/commitlog/mod.ts"
    );
    const { WriteServer } = await import("../../counters/write/mod.ts");
    await runDaemon(context, { verb: "write", ...options }, async (daemon) => {
      using directory = DataDirectory.openOrCreate(storage, options.data, {
        wanted: wantedSizes(options),
        self: describeSelf(storage),
        beforeMaking: ({ logSize }) => slotsOfBacklog(options.backlog, logSize),
      });
      const server = await WriteServer.start(directory, {
        hostname: options.listen,
        port: options.port,
        maxConnections: options.maxConnections,
        acknowledges: options.ack,
        maxKeyspaces: options.maxKeyspaces,
        ...logWriterOptions(options),
      }, { clock, events, metrics: daemon.metrics, turn: daemon.turn, signal });
      daemon.ready(`listening on ${showAddress(server.address)}`);
      await serveUntilStopped(signal, server);
    });
  },
});
