/** Accepts connections until the listener is closed. */

import { meaningOfErrno } from "../../ffi/mod.ts";
import type { Clock } from "../base/clock.ts";
import type { Events } from "../base/events.ts";
import type { LoopTurn } from "./loop_turn.ts";

/** A lack of descriptors or memory lasts for a while: accepting again at once would only fail again. */
const SCARCITY_PAUSE_MS = 100;
/** Connections to accept before other work gets a turn of the event loop. */
const AT_ONCE_MAX = 64;

export interface Accepting {
  readonly clock: Clock;
  /** Gets an event for each connection that could not be accepted, so it must limit its lines. */
  readonly events: Events;
  readonly turn: LoopTurn;
  serve(connection: Deno.TcpConn): void;
}

/** Accepts connections and passes each to `serve`. Resolves when the listener is closed. */
export async function acceptAll(
  listener: Deno.TcpListener,
  { clock, events, turn, serve }: Accepting,
): Promise<void> {
  for (let tries = 1;; tries++) {
    const connection = await accept();
    if (connection === "closed") return;
    if (connection !== null) serve(connection);
    if (tries % AT_ONCE_MAX === 0) await turn.next({ isQuick: true });
  }

  async function accept(): Promise<Deno.TcpConn | "closed" | null> {
    try {
      return await listener.accept();
    } catch (error) {
      if (error instanceof Deno.errors.BadResource) return "closed";
      events.report("warn", "connection not accepted", { reason: String(error) });
      // Any other error concerns one peer, such as one that has gone away: accept the next at once.
      const { code = "" } = error as { readonly code?: string };
      if (meaningOfErrno(code) === "scarce") {
        await clock.sleep(SCARCITY_PAUSE_MS);
      }
      return null;
    }
  }
}
