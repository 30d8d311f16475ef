/**
 * Orders of a test to one process: die or fail at a named place. They come as text, so that a real
 * process can be armed through its environment (`COUNTD_FAULT`, read by the command line):
 *
 *     kill@fold.5.before        SIGKILL to oneself when the point is reached for the first time
 *     kill@fold.5.before#3      … for the third time
 *     stop@claim.2.after        SIGSTOP to oneself there
 *     EIO@sync#2                the second sync fails with EIO (fdatasync, fsync, syncfs alike)
 *     ENOSPC@allocate#1         likewise for `allocate` and `write`
 *     EMFILE@open#3             likewise for `open`, also that of a directory, to list or to sync it
 *
 * Several orders are separated by commas. Where none is given, nothing of this runs.
 */

import { OsError } from "../../ffi/mod.ts";
import { UsageError } from "../base/errors.ts";

export type FailingCall = "open" | "allocate" | "write" | "sync";

interface Order {
  readonly action: string;
  readonly place: string;
  /** How many more times the place is passed before the order is carried out. */
  remaining: number;
}

const CALLS: readonly string[] = ["open", "allocate", "write", "sync"];

export class FaultPlan {
  readonly #orders: Order[];

  private constructor(orders: Order[]) {
    this.#orders = orders;
  }

  /** Null for an empty text. Throws `UsageError` for one that is not an order. */
  static parse(text: string | undefined): FaultPlan | null {
    if (text === undefined || text === "") return null;
    const orders = text.split(",").map((part): Order => {
      const match = /^(kill|stop|E[A-Z]+)@([^#]+)(?:#([1-9][0-9]*))?$/.exec(part);
      const [, action, place, count] = match ?? [];
      if (action === undefined || place === undefined) {
        throw new UsageError(
          `Invalid COUNTD_FAULT ${JSON.stringify(part)}: write ACTION@PLACE#COUNT`,
        );
      }
      if (action.startsWith("E") && !CALLS.includes(place)) {
        throw new UsageError(`Invalid COUNTD_FAULT ${part}: only ${CALLS.join(", ")} can fail`);
      }
      return { action, place, remaining: Number(count ?? "1") };
    });
    return new FaultPlan(orders);
  }

  /** Carries out what is ordered for a named point. */
  reach(point: string): void {
    for (const order of this.#orders) {
      if (order.place !== point || --order.remaining !== 0) continue;
      Deno.kill(Deno.pid, order.action === "stop" ? "SIGSTOP" : "SIGKILL");
    }
  }

  /** Throws `OsError` where a call of this kind is ordered to fail. */
  fail(call: FailingCall, path: string): void {
    let due: Order | null = null;
    // Every order counts every call, also one that another order lets fail.
    for (const order of this.#orders) {
      if (order.place === call && --order.remaining === 0) due ??= order;
    }
    if (due !== null) throw new OsError(call, path, due.action);
  }
}
