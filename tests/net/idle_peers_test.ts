import { assertEquals } from "@std/assert";
import { Metrics } from "../../src/base/metrics.ts";
import { closeUnused, IDLE_MS, SILENT_MS, STALLED_MS, toGiveUp } from "../../src/net/idle_peers.ts";
import { clockAt } from "../support/fixed_clock.ts";

Deno.test("Peers that read no answers, or send no first message, for half a minute are disconnected", () => {
  const clock = clockAt(0);
  const metrics = new Metrics();
  const stalled = metrics.counter("countd_connections_total", "stalled");
  const silent = metrics.counter("countd_connections_total", "silent");
  const closed: string[] = [];
  const said: string[] = [];
  const connection = (name: string, writingSinceMs: number | null, hasSpoken = true) => ({
    openedMs: 0,
    hasSpoken,
    writingSinceMs,
    close: () => void closed.push(name),
  });
  const connections = [
    connection("idle", null),
    connection("early", 0),
    connection("late", 1),
    connection("silent", null, false),
  ];
  const events = { report: (_level: unknown, event: string) => void said.push(event) };
  const look = () => closeUnused(connections, { clock, events, stalled, silent });
  assertEquals(STALLED_MS, SILENT_MS);
  clock.advance(STALLED_MS - 1);
  look();
  assertEquals([closed, stalled.value, silent.value], [[], 0, 0]);
  clock.advance(1);
  look();
  assertEquals([closed, stalled.value, silent.value], [["early", "silent"], 1, 1]);
  assertEquals(said, [
    "connection closed: the peer reads no answers",
    "connection closed: no whole message arrived",
  ]);
});

Deno.test("A connection gives its place that has said nothing for 2 s, else the one that was idle longest", () => {
  const connection = (name: string, activeMs: number, isWaiting = true, hasSpoken = true) => ({
    name,
    openedMs: activeMs,
    hasSpoken,
    activeMs,
    isWaiting,
  });
  const connections = [
    connection("busy", 0, false),
    connection("second", 2),
    connection("first", 1),
    connection("recent", 3),
  ];
  assertEquals(toGiveUp(connections, 1 + IDLE_MS), null);
  assertEquals(toGiveUp(connections, 2 + IDLE_MS)?.name, "first");
  assertEquals(toGiveUp(connections, 10 * IDLE_MS)?.name, "first");
  assertEquals(toGiveUp([], 10 * IDLE_MS), null);
  const nowMs = 10 * IDLE_MS;
  const silent = [
    connection("silent", nowMs - 2001, true, false),
    connection("longer", nowMs - 3000, true, false),
    connection("new", nowMs - 1999, true, false),
  ];
  assertEquals(toGiveUp([...connections, ...silent], nowMs)?.name, "longer");
  assertEquals(toGiveUp(silent.slice(2), nowMs), null);
});
