import type { LiveMetrics, Status } from "../../admin/mod.ts";
import { showSize } from "../kit/option.ts";
import { dataOption } from "../options.ts";
import { defineVerb, examplesOf } from "../verb.ts";

export const status = defineVerb({
  name: "status",
  summary: "show the state of a data directory",
  details: [
    "Shows the logs, the backlog, the process that folds, and the daemons, with or without running " +
    "daemons. `ready` is `yes` if daemons run and each can do all of its work; else a line `not " +
    "ready` gives each reason. The numbers of increments, refusals and recoveries, and the last sync, are those of " +
    "the running daemons together, each since its start.",
  ],
  options: { data: dataOption },
  answersJson: true,
  examples: examplesOf({
    "countd status --data ./counters": "print one fact a line, name TAB value",
    "countd status --json": "print the same as JSON",
  }),
  async run({ options, storage, clock, json, stdout }) {
    const { DataDirectory, describeSelf } = await import("../../counters/commitlog/mod.ts");
    const { statusOf } = await import("../../admin/mod.ts");
    using directory = DataDirectory.open(storage, options.data, {
      self: describeSelf(storage),
      access: "read",
    });
    const found = await statusOf(directory, clock);
    if (json) stdout.json(statusJson(found));
    else for (const [name, value] of statusLines(found)) stdout.line(`${name}\t${value}`);
  },
});

function statusLines(status: Status): [string, string][] {
  const { sizes, logs, backlog, space, figures } = status;
  const lines: [string, string][] = [
    ["directory", status.directory],
    ["format", String(status.format)],
    ["log size", showSize(sizes.logSize)],
    ["name sizes", `keyspace ${sizes.keyspaceSize}, key ${sizes.keySize}`],
    ["ready", status.notReady.length === 0 ? "yes" : "no"],
    ...status.notReady.map((reason): [string, string] => ["not ready", reason]),
    ["failed", status.failed === null ? "no" : `yes: ${status.failed.reason}`],
    ["logs", listCounts(logs)],
    ["backlog", `${backlog.records} records, ${backlog.bytes} bytes, ${backlog.seconds} s`],
    ["keyspaces", `${status.keyspaces.count}, with ${status.keyspaces.counters} counters`],
    ["folding", status.foldHolder ?? "no process"],
    ["free space", `${space.freeBytes} of ${space.totalBytes} bytes`],
    ["disk full", figures.diskFull ? "yes: writers wait for space" : "no"],
    ["increments", `accepted ${figures.accepted}, refused ${figures.refused}`],
    ["refused", listCounts(figures.refusedByReason)],
    ["recovered", listCounts(figures.recoveredByKind)],
    ["saturated", String(figures.saturated)],
    ["last sync", timeText(figures.lastSyncMs)],
  ];
  for (const { verb, pid, state, startedMs } of status.daemons) {
    lines.push(["daemon", `${verb} pid ${pid}, ${state}, since ${timeText(startedMs)}`]);
  }
  for (const trouble of status.troubles) lines.push(["trouble", trouble]);
  return lines;
}

/** Lists the counts that are not zero, as `name count, …`. */
function listCounts(counts: Readonly<Record<string, number>>): string {
  const shown = Object.entries(counts).filter(([, count]) => count > 0);
  return shown.length === 0 ? "0" : shown.map(([name, count]) => `${name} ${count}`).join(", ");
}

function timeText(wallMs: number | null): string {
  return wallMs === null ? "-" : new Date(wallMs).toISOString();
}

/** Returns the JSON of a status: counts and sizes as decimal strings, times in ISO form. */
function statusJson(status: Status): unknown {
  const { sizes, backlog, space, failed } = status;
  return {
    directory: status.directory,
    format: status.format,
    sizes: texts(sizes),
    ready: status.notReady.length === 0,
    notReady: status.notReady,
    failed: failed === null ? null : { reason: failed.reason, time: timeText(failed.wallMs) },
    logs: texts(status.logs),
    backlog: { ...texts(backlog), seconds: backlog.seconds },
    foldHolder: status.foldHolder,
    keyspaces: texts(status.keyspaces),
    troubles: status.troubles,
    space: texts(space),
    ...metricsJson(status.figures),
    daemons: status.daemons.map(({ verb, pid, state, startedMs, updatedMs, figures }) => ({
      verb,
      pid,
      state,
      started: timeText(startedMs),
      updated: timeText(updatedMs),
      figures: Object.fromEntries(
        Object.entries(figures).map(([name, values]) => [name, texts(values)]),
      ),
    })),
  };
}

function metricsJson(figures: LiveMetrics) {
  return {
    diskFull: figures.diskFull,
    accepted: String(figures.accepted),
    refused: String(figures.refused),
    refusedByReason: texts(figures.refusedByReason),
    recoveredByKind: texts(figures.recoveredByKind),
    saturated: String(figures.saturated),
    lastSync: figures.lastSyncMs === null ? null : timeText(figures.lastSyncMs),
  };
}

/** Returns numbers as decimal strings; leaves out other values, such as histograms. */
function texts(counts: object): Record<string, string> {
  const numbers = Object.entries(counts).filter(([, count]) => typeof count === "number");
  return Object.fromEntries(numbers.map(([name, count]) => [name, String(count)]));
}
