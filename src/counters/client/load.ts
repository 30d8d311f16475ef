/** `load`: sends a stream of lines to the write port as fast as both sides allow. */

import type { MessageSizes, WriteTotals } from "../wire/mod.ts";
import { LineEncoder } from "./line_encoder.ts";
import type { WriteClient } from "./write_client.ts";

/** What `loadLines` calls on the way. */
export interface LoadHooks {
  /** A line that is not sent, by its number from 1, and the reason in words. */
  malformed(line: number, reason: string): void;
  /** Called after each piece of the input, with the bytes and complete lines so far. */
  progress(bytes: number, lines: number): void;
}

/**
 * Send every line of `input`, `keyspace TAB key [TAB increment]` as `LineEncoder` reads it, and waits
 * until the server has made them durable. The totals count malformed lines as refused. `client` is
 * finished by it, and `sizes` are those that it was connected with. Throws `ConnectError` if the server
 * goes away.
 */
export async function loadLines(
  input: AsyncIterable<Uint8Array>,
  client: WriteClient,
  { sizes, hooks }: { readonly sizes: MessageSizes; readonly hooks: LoadHooks },
): Promise<WriteTotals> {
  const encoder = new LineEncoder(sizes, hooks.malformed);
  let bytes = 0;
  for await (const chunk of input) {
    for (let rest = chunk; rest.length > 0; rest = rest.subarray(encoder.taken)) {
      encoder.encode(rest, client.capacity());
      client.added(encoder.given);
      // The buffer is full when something is left of the chunk.
      if (encoder.taken < rest.length) await client.flush();
    }
    // Each piece is sent at once, because the next one may be a long time in coming.
    await client.flush();
    bytes += chunk.length;
    hooks.progress(bytes, encoder.lines);
  }
  encoder.end(client.capacity());
  client.added(encoder.given);
  const totals = await client.finish();
  return {
    accepted: totals.accepted,
    refused: totals.refused + BigInt(encoder.malformed),
  };
}
