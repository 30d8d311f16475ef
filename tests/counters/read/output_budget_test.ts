/** Which peer is cut while others wait for capacity. */

import { assertEquals } from "@std/assert";
import { OutputBudget, OutputQuota } from "../../../src/counters/read/output_budget.ts";
import { clockAt } from "../../support/fixed_clock.ts";

Deno.test("A peer is cut for what it was sent and has not taken, and not for rows that are still copied", async () => {
  const clock = clockAt(0);
  const budget = new OutputBudget(clock);
  const ended: string[] = [];
  const quota = (name: string) => new OutputQuota(budget, () => void ended.push(name));
  const [copied, slow] = [quota("copied"), quota("slow")];
  copied.hold(2 ** 25);
  clock.advance(1000);
  slow.hold(2 ** 25);
  slow.sent();
  const waiting = budget.whenFreed();
  clock.advance(5000);
  copied.sent();
  assertEquals([budget.endSlowest(), budget.endSlowest(), ended.splice(0)], [5000, null, ["slow"]]);
  clock.advance(4999);
  assertEquals([budget.endSlowest(), ended], [null, []]);
  clock.advance(1);
  assertEquals([budget.endSlowest(), ended], [5000, ["copied"]]);
  slow.hold(0);
  await waiting;
});
