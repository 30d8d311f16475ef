/**
 * What a daemon tells systemd: that it is ready, that it stops, and, where a watchdog is set, that it
 * still lives. The notices come from the event loop, so a daemon that hangs falls silent.
 */

/** Sends one notice; throws where the manager cannot be reached. */
export type SendNotice = (socketPath: string, notice: string) => void;

export class ServiceManager {
  readonly #socketPath: string | undefined;
  readonly #watchdogMs: number;
  readonly #send: SendNotice;
  #timer: ReturnType<typeof setInterval> | undefined;

  /** `environment` is asked for `NOTIFY_SOCKET` and `WATCHDOG_USEC`; without the first, nothing happens. */
  constructor(environment: (name: string) => string | undefined, send: SendNotice) {
    this.#socketPath = environment("NOTIFY_SOCKET") || undefined;
    // Twice as often as systemd wants, as its manual advises.
    this.#watchdogMs = Number(environment("WATCHDOG_USEC") ?? 0) / 1000 / 2;
    this.#send = send;
  }

  ready(): void {
    this.#notify("READY=1");
    if (this.#socketPath === undefined || this.#timer !== undefined) return;
    if (!(this.#watchdogMs >= 1)) return;
    this.#timer = setInterval(() => this.#notify("WATCHDOG=1"), this.#watchdogMs);
    // Only what the daemon does keeps it running.
    Deno.unrefTimer(this.#timer);
  }

  /** The watchdog goes on: a clean stop may take its time. */
  stopping(): void {
    this.#notify("STOPPING=1");
  }

  #notify(notice: string): void {
    if (this.#socketPath === undefined) return;
    try {
      this.#send(this.#socketPath, notice);
    } catch {
      // A manager that does not listen is no reason to stop counting.
    }
  }
}
