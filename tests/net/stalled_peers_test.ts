import { assertEquals } from "@std/assert";
import { Metrics } from "../../src/base/metrics.ts";
import { closeStalled, STALLED_MS } from "../../src/net/stalled_peers.ts";
import { clockAt } from "../support/fixed_clock.ts";

Deno.test("A peer that reads no answers for half a minute is disconnected, counted and reported", () => {
  const clock = clockAt(0);
  const stalled = new Metrics().counter("countd_connections_total", "stalled");
  const closed: string[] = [];
  const said: string[] = [];
  const connection = (name: string, writingSinceMs: number | null) => ({
    name,
    writingSinceMs,
    close: () => void closed.push(name),
  });
  const connections = [connection("idle", null), connection("early", 0), connection("late", 1)];
  const look = () =>
    closeStalled(connections, {
      clock,
      stalled,
      events: { report: (_level, event) => void said.push(event) },
    });
  clock.advance(STALLED_MS - 1);
  look();
  assertEquals([closed, stalled.value], [[], 0]);
  clock.advance(1);
  look();
  assertEquals([closed, stalled.value], [["early"], 1]);
  assertEquals(said, ["connection closed: the peer reads no answers"]);
});
