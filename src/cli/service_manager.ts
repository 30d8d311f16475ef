/**
 * Notifies systemd that a daemon is ready, that it stops and, if a watchdog is set, that it is alive.
 * The notices come from the event loop, so they cease when the daemon hangs.
 */

/** Sends one notice; throws if the manager cannot be reached. */
export type SendNotice = (socketPath: string, notice: string) => void;

export class ServiceManager {
  readonly #socketPath: string | undefined;
  readonly #watchdogMs: number;
  readonly #send: SendNotice;
  #timer: ReturnType<typeof setInterval> | undefined;

  /** Reads `NOTIFY_SOCKET` and `WATCHDOG_USEC`; without the first, no notice is sent. */
  constructor(environment: (name: string) => string | undefined, send: SendNotice) {
    this.#socketPath = environment("NOTIFY_SOCKET") || undefined;
    // Twice as often as systemd demands, as its manual advises.
    this.#watchdogMs = Number(environment("WATCHDOG_USEC") ?? 0) / 1000 / 2;
    this.#send = send;
  }

  ready(): void {
    this.#notify("READY=1");
    if (this.#socketPath === undefined || this.#timer !== undefined) return;
    if (!(this.#watchdogMs >= 1)) return;
    this.#timer = setInterval(() => this.#notify("WATCHDOG=1"), this.#watchdogMs);
    // The timer alone must not keep the process running.
    Deno.unrefTimer(this.#timer);
  }

  /** Notifies that the daemon stops. The watchdog notices continue, because a clean stop may take long. */
  stopping(): void {
    this.#notify("STOPPING=1");
  }

  #notify(notice: string): void {
    if (this.#socketPath === undefined) return;
    try {
      this.#send(this.#socketPath, notice);
    } catch {
      // A daemon must go on counting although the manager does not listen.
    }
  }
}
