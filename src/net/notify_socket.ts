/** Notices to a service manager (systemd, `Type=notify`) over the socket that it listens on. */

import { sendDatagram } from "../../ffi/mod.ts";

/**
 * Sends one notice such as `READY=1` to the socket that `NOTIFY_SOCKET` names (a path, or `@` and a
 * name in the abstract namespace). Throws `OsError`.
 */
export function notifyServiceManager(socketPath: string, notice: string): void {
  sendDatagram(socketPath, new TextEncoder().encode(notice));
}
