/**
 * Whether a daemon can do all of its work now: the sum of its parts. A part says in a sentence why it cannot, and
 * takes the sentence back when it can again. `/readyz` and `countd status` show the result.
 *
 *     readiness.state = "ready";
 *     readiness.set(part, "disk full: folding waits until space returns");
 *     readiness.set(part, null);
 */

/** The state that a daemon reports to health checks. */
export type DaemonState = "starting" | "ready" | "stopping" | "failed";

/** For so long after a request that was refused, and may succeed later, a server is not ready. */
export const REFUSED_MS = 5_000;

export class Readiness {
  /** The daemon sets it as it starts, serves, stops or fails. */
  state: DaemonState = "starting";
  readonly #sentences = new Map<unknown, string>();
  readonly #parts: (() => readonly string[])[] = [];

  /** Sets why a part cannot do its work now, or null if it can. */
  set(part: unknown, reason: string | null): void {
    if (reason === null) this.#sentences.delete(part);
    else this.#sentences.set(part, reason);
  }

  /** Adds a part that is asked for its reasons each time. */
  addPart(reasons: () => readonly string[]): void {
    this.#parts.push(reasons);
  }

  /** The daemon is about to end because of an error. */
  fail(reason: string): void {
    this.state = "failed";
    this.set("failed", reason);
  }

  /** Why some part cannot do its work now, one sentence each. */
  reasons(): string[] {
    return [...new Set([...this.#sentences.values(), ...this.#parts.flatMap((part) => part())])];
  }

  /** The daemon serves, and every part can do its work. */
  get isReady(): boolean {
    return this.state === "ready" && this.reasons().length === 0;
  }
}
