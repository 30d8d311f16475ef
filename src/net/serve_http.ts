/** An HTTP server that keeps running when a connection cannot be accepted. */

import type { Clock } from "../base/clock.ts";

const REOPEN_PAUSE_MS = 100;

export interface HttpOptions {
  readonly hostname: string;
  /** 0 takes a free port. */
  readonly port: number;
  readonly clock: Clock;
  readonly onListen: (address: Deno.NetAddr) => void;
  readonly onError: (error: unknown) => Response;
  /** Called when the port is closed for a moment because a connection could not be accepted. */
  readonly onNotAccepted?: (error: unknown) => void;
  readonly handler: (request: Request) => Response | Promise<Response>;
}

export interface HttpServer {
  readonly address: Deno.NetAddr;
  /** Accepts nothing new; resolves when all requests that have begun are answered. */
  shutdown(): Promise<void>;
}

/**
 * Serves as `Deno.serve` does, and throws what it throws. But `Deno.serve` ends at the first accept that
 * fails, and too many open files thus ended the process. Here the port is opened again.
 */
export function serveHttp(options: HttpOptions): HttpServer {
  const { hostname, clock, onError, onNotAccepted, handler } = options;
  let isStopping = false;
  let server = listen(options.port, options.onListen);
  const address = server.addr;
  let reopening: Promise<void> | null = null;
  watch();

  return {
    address,
    async shutdown() {
      isStopping = true;
      await reopening;
      // The server has already ended if the port could not be opened again.
      await server.shutdown().catch(() => {});
    },
  };

  function listen(
    port: number,
    onListen: (address: Deno.NetAddr) => void,
  ): Deno.HttpServer<Deno.NetAddr> {
    return Deno.serve({ hostname, port, onListen, onError, handler });
  }

  function watch(): void {
    server.finished.catch((error) => {
      onNotAccepted?.(error);
      reopening = reopen();
    });
  }

  async function reopen(): Promise<void> {
    while (true) {
      await clock.sleep(REOPEN_PAUSE_MS);
      if (isStopping) return;
      try {
        server = listen(address.port, () => {});
        return watch();
      } catch {
        // There is still no descriptor for it.
      }
    }
  }
}
