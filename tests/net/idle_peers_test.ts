import { assertEquals } from "@std/assert";
import { Metrics } from "../../src/base/metrics.ts";
import {
  closeUnused,
  IDLE_MS,
  longestIdle,
  SILENT_MS,
  STALLED_MS,
} from "../../src/net/idle_peers.ts";
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

Deno.test("The longest idle connection gives its place, but none that was idle for a minute or less", () => {
  const connection = (name: string, activeMs: number, isWaiting = true) => ({
    name,
    activeMs,
    isWaiting,
  });
  const connections = [
    connection("busy", 0, false),
    connection("second", 2),
    connection("first", 1),
    connection("recent", 3),
  ];
  assertEquals(longestIdle(connections, 1 + IDLE_MS), null);
  assertEquals(longestIdle(connections, 2 + IDLE_MS)?.name, "first");
  assertEquals(longestIdle(connections, 10 * IDLE_MS)?.name, "first");
  assertEquals(longestIdle([], 10 * IDLE_MS), null);
});
