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
  staleOption,
} from "../options.ts";
import { selfArguments } from "../self_arguments.ts";
import { READ_PORT, WRITE_PORT } from "../../counters/wire/mod.ts";
import { defineVerb, examplesOf } from "../verb.ts";

export const serve = defineVerb({
  name: "serve",
  summary: "run write, worker and read on one data directory",
  details: [
    "Makes the data directory if it is missing. Prints `write listening on HOST:PORT` and `read " +
    "listening on HOST:PORT` on stderr. The worker runs as a process of its own: it is restarted if " +
    "it dies, and ends with serve, even if serve is killed.",
    "SIGTERM, SIGINT and SIGHUP stop it cleanly: first write, then worker, then read.",
  ],
  options: {
    data: dataOption,
    listen: listenOption,
    writePort: portOption("the port to take increments on", WRITE_PORT),
    readPort: portOption("the port to answer on", READ_PORT),
    ack: flag("answer WIN or NAY to every message once it is durable"),
    stale: staleOption,
    maxKeyspaces: maxKeyspacesOption,
    ...logOptions,
    ...messageServerOptions,
  },
  examples: examplesOf({
    "countd serve --data ./counters": "run the whole server on the default ports",
    "countd serve --write-port 0 --read-port 0": "run it on two free ports",
  }),
  async run(context) {
    const { options, storage, clock, events, signal } = context;
    const { Serve } = await import("../../serve/mod.ts");
    await runDaemon(context, { verb: "serve", ...options }, async (daemon) => {
      const { listen: hostname, maxConnections, data, logFormat } = options;
      const server = await Serve.start(storage, {
        data,
        wanted: wantedSizes(options),
        write: {
          hostname,
          port: options.writePort,
          portOption: "--write-port",
          maxConnections,
          acknowledges: options.ack,
          maxKeyspaces: options.maxKeyspaces,
          ...logWriterOptions(options),
        },
        read: {
          hostname,
          port: options.readPort,
          portOption: "--read-port",
          maxConnections,
          stale: options.stale,
        },
        workerArgs: [
          ...selfArguments(),
          ...["worker", "--data", data, "--log-format", logFormat, "--until-stdin-ends"],
        ],
      }, { clock, events, metrics: daemon.metrics, turn: daemon.turn, signal });
      daemon.adopt(server.worker);
      context.announce(`write listening on ${showAddress(server.write.address)}`);
      daemon.ready(`read listening on ${showAddress(server.read.address)}`);
      await serveUntilStopped(signal, server);
    });
  },
});
