/** `load`: a stream of lines goes to the write port as fast as both sides allow. */

import type { WriteTotals } from "../wire/mod.ts";
import type { MessageSizes } from "../wire/mod.ts";
import { LineEncoder } from "./line_encoder.ts";
import type { WriteClient } from "./write_client.ts";

export interface LoadHooks {
  /** A line that is not sent, by its number from 1. */
  malformed(line: number, reason: string): void;
  /** Called for each piece of the input. */
  progress(bytes: number, lines: number): void;
}

/**
 * Sends every line of `input` and waits until the server has made them durable. Malformed lines are
 * among the refused. Throws `ConnectError` where the server goes away.
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
      encoder.encode(rest, client.room());
      client.took(encoder.given);
      // The buffer is full when something is left of the chunk.
      if (encoder.taken < rest.length) await client.flush();
    }
    // What came in goes out, also when the next lines are long in coming.
    await client.flush();
    bytes += chunk.length;
    hooks.progress(bytes, encoder.lines);
  }
  encoder.end(client.room());
  client.took(encoder.given);
  const totals = await client.finish();
  return {
    accepted: totals.accepted,
    refused: totals.refused + BigInt(encoder.malformed),
  };
}
