/** Claims a log, and waits if there is none. */

import type { ActiveLog, LogPool } from "../commitlog/mod.ts";
import type { Environment } from "./log_writer_options.ts";
import { reasonToWait, SpaceWait, type WaitReason } from "./space_wait.ts";

/** Claims a log as soon as one can be claimed. Throws what `SpaceWait.pause` throws. */
export async function claimOrWait(
  pool: LogPool,
  { signal, ...environment }: Environment & { readonly signal?: AbortSignal },
): Promise<ActiveLog> {
  const wait = new SpaceWait(pool.directory, environment);
  while (true) {
    let claimed: ActiveLog | WaitReason;
    try {
      claimed = await pool.claim();
    } catch (error) {
      const reason = reasonToWait(error);
      if (reason === null) throw error;
      claimed = reason;
    }
    if (typeof claimed !== "string") {
      wait.end();
      return claimed;
    }
    await wait.pause(claimed, signal);
  }
}
