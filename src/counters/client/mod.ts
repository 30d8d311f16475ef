/**
 * Clients of a countd server: `WriteClient` sends increments to its write port, `ReadClient` asks its
 * read port for counters by rank.
 *
 * Names are bytes, and counts are signed 64-bit integers. The widths of the two name fields are those of
 * the server's data directory: `DEFAULT_SIZES`, unless it was made with others. Every error that is
 * thrown for a cause outside the program is a `CountdError`.
 *
 * A server for this example is `countd serve --data ./counters`. It takes its ports from the same
 * variables.
 *
 * ```ts
 * import { DEFAULT_SIZES, READ_PORT, ReadClient, WRITE_PORT, WriteClient } from "@countd/countd";
 *
 * const hostname = "127.0.0.1";
 * const writePort = Number(Deno.env.get("COUNTD_WRITE_PORT") ?? WRITE_PORT);
 * const readPort = Number(Deno.env.get("COUNTD_READ_PORT") ?? READ_PORT);
 * const bytes = (text: string) => new TextEncoder().encode(text);
 *
 * using writer = await WriteClient.connect({ hostname, port: writePort }, DEFAULT_SIZES);
 * await writer.increment(bytes("visits"), bytes("/about"), 2n);
 * await writer.increment(bytes("visits"), bytes("/"), 40n);
 * const { accepted, refused } = await writer.finish();
 * console.log(accepted, refused); // 2n 0n
 *
 * using reader = await ReadClient.connect({ hostname, port: readPort }, DEFAULT_SIZES);
 * const { total, rows } = await reader.page(bytes("visits"), { offset: 0, length: 10 });
 * console.log(total); // 2
 * for (const { key, value } of rows) {
 *   console.log(new TextDecoder().decode(key), value); // "/" 40n, "/about" 2n
 * }
 * console.log(await reader.key(bytes("visits"), bytes("/about"))); // { rank: 1, value: 2n }
 * ```
 *
 * @module
 */

export { type Clock } from "../../base/clock.ts";
export {
  BusyError,
  ConnectError,
  CountdError,
  type ErrorKind,
  RefusedError,
  UsageError,
} from "../../base/errors.ts";
export {
  DEFAULT_SIZES,
  type MessageSizes,
  READ_PORT,
  REPLY_ROWS_MAX,
  type Row,
  WRITE_PORT,
  type WriteTotals,
} from "../wire/mod.ts";
export type { Patience, ServerAddress } from "./connection.ts";
export { LineEncoder } from "./line_encoder.ts";
export { type LoadHooks, loadLines } from "./load.ts";
export { Progress, type ProgressState, progressText } from "./progress.ts";
export { DamagedOnServerError, ReadClient } from "./read_client.ts";
export { WriteClient } from "./write_client.ts";
