/** HTTP that goes on when a connection cannot be accepted. */

import type { Clock } from "../base/clock.ts";

const AGAIN_MS = 100;

export interface HttpOptions {
  readonly hostname: string;
  /** 0 takes a free one. */
  readonly port: number;
  readonly clock: Clock;
  readonly onListen: (address: Deno.NetAddr) => void;
  readonly onError: (error: unknown) => Response;
  /** Told when the port is closed for a moment, because a connection could not be accepted. */
  readonly onNotAccepted?: (error: unknown) => void;
  readonly handler: (request: Request) => Response | Promise<Response>;
}

export interface HttpServer {
  readonly address: Deno.NetAddr;
  /** Accepts nothing new; resolves when what has begun is answered. */
  shutdown(): Promise<void>;
}

/**
 * Serves as `Deno.serve` does, and throws what it throws. That one ends at the first accept that fails,
 * which ended the process: too many open files were enough. Here the port is opened again.
 */
export function serveHttp(options: HttpOptions): HttpServer {
  const { hostname, clock, onError, onNotAccepted, handler } = options;
  let isStopping = false;
  let server = listen(options.port, options.onListen);
  const address = server.addr;
  let again: Promise<void> | null = null;
  watch();

  return {
    address,
    async shutdown() {
      isStopping = true;
      await again;
      // It has ended already if it could not be opened again.
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
      again = openAgain();
    });
  }

  async function openAgain(): Promise<void> {
    while (true) {
      await clock.sleep(AGAIN_MS);
      if (isStopping) return;
      try {
        server = listen(address.port, () => {});
        return watch();
      } catch {
        // Still no descriptor for it.
      }
    }
  }
}
