/** TCP connections, as far as the runtime does not end them. */

import { shutdownConnection } from "../../ffi/mod.ts";

/**
 * Closes a connection to which a write waits for its peer, and ends that write. `close` alone leaves
 * both to the peer: as long as it takes nothing and lives, the write waits and the descriptor is held
 * (measured with Deno 2.9.4).
 */
export function cutConnection(connection: Deno.TcpConn): void {
  shutdownConnection(connection.localAddr, connection.remoteAddr);
  connection.close();
}
