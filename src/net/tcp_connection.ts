/** Ends TCP connections that the runtime alone cannot end. */

import { shutdownConnection } from "../../ffi/mod.ts";

/**
 * Closes a connection whose write waits for the peer, and ends that write. With `close` alone the write
 * waits, and holds the descriptor, as long as the peer lives and reads nothing (measured with Deno 2.9.4).
 */
export function cutConnection(connection: Deno.TcpConn): void {
  shutdownConnection(connection.localAddr, connection.remoteAddr);
  connection.close();
}
