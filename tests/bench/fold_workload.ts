/** The workload of the fold benches: 16-byte keys, drawn by Zipf's law or evenly. */

import { encodeDefinition, recordBytes } from "../../src/counters/wire/mod.ts";
import { Random } from "../support/random.ts";

export const KEY_BYTES = 16;
export const RECORD_BYTES = recordBytes(KEY_BYTES);
export const KEYSPACE = new TextEncoder().encode("bench");

/** As many as a log of the default size holds. */
const BATCH_RECORDS = 500_000;
const HEX = new TextEncoder().encode("0123456789abcdef");
const EULER = 0.5772156649;

export type Draw = (random: Random) => number;
export type Distribution = "zipf" | "uniform";

/** Writes the key of counter `index`: 16 hexadecimal digits that say nothing about its popularity. */
export function writeKey(index: number, into: Uint8Array, at: number): void {
  // Both halves are one-to-one in the index, so keys differ.
  let high = Math.imul(index + 1, 0x9e3779b1);
  let low = Math.imul(index ^ 0x5bd1e995, 0x85ebca6b);
  for (let digit = 7; digit >= 0; digit--) {
    into[at + digit] = HEX[high & 15] as number;
    into[at + 8 + digit] = HEX[low & 15] as number;
    high >>>= 4;
    low >>>= 4;
  }
}

export function drawFrom(distribution: Distribution, counters: number): Draw {
  if (distribution === "uniform") return (random) => random.below(counters);
  // Zipf 1.0: the harmonic sum up to k is close to ln k + Euler's constant; this is its inverse.
  const total = Math.log(counters) + EULER;
  return (random) => {
    const index = Math.floor(Math.exp(random.fraction() * total - EULER));
    return Math.min(index, counters - 1);
  };
}

/** Record batches as the frames of full logs carry them. */
export function recordBatches(
  count: number,
  pick: (index: number) => { readonly key: number; readonly increment: number },
): Uint8Array[] {
  const batches: Uint8Array[] = [];
  for (let from = 0; from < count; from += BATCH_RECORDS) {
    const records = Math.min(BATCH_RECORDS, count - from);
    const bytes = new Uint8Array(recordBytes(KEYSPACE.length) + records * RECORD_BYTES);
    const view = new DataView(bytes.buffer);
    let at = encodeDefinition(bytes, 0, { number: 0, name: KEYSPACE });
    for (let index = from; index < from + records; index++) {
      const { key, increment } = pick(index);
      view.setUint8(at, 1);
      view.setUint16(at + 2, KEY_BYTES, true);
      view.setInt32(at + 8, increment, true);
      view.setInt32(at + 12, increment >> 31, true);
      writeKey(key, bytes, at + 16);
      at += RECORD_BYTES;
    }
    batches.push(bytes);
  }
  return batches;
}

/** The increments of a backlog, for programs that take them one by one. */
export function increments(
  draw: Draw,
  seed: number,
): () => { readonly key: number; readonly increment: number } {
  const random = new Random(seed);
  return () => ({ key: draw(random), increment: 1 + random.below(4) });
}
