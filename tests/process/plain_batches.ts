/** Hello and batches with the default sizes, made without the program's own encoders. */

import { crc32 } from "node:zlib";
import { joined, receive, sendAll } from "./plain_messages.ts";

const text = new TextEncoder();

/** `[keyspace, key, increment]` */
export type PlainIncrement = readonly [string, string, bigint];

/** The 520 bytes of a hello. */
export function hello(): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(520);
  bytes.set(text.encode("countd2\n"));
  return bytes;
}

/** The 256 bytes of an introduction; `flags` 2 is for requests. */
export function introduction(
  { flags = 0, keyspaceSize = 256, keySize = 256, producer = new Uint8Array(16) } = {},
): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(256);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, 1, true);
  view.setUint32(4, flags, true);
  bytes.set(producer, 8);
  view.setUint32(24, keyspaceSize, true);
  view.setUint32(28, keySize, true);
  return bytes;
}

function record(kind: number, number: number, increment: bigint, name: string) {
  const encoded = text.encode(name);
  const bytes = new Uint8Array(16 + Math.ceil(encoded.length / 8) * 8);
  const view = new DataView(bytes.buffer);
  bytes[0] = kind;
  view.setUint16(2, encoded.length, true);
  view.setUint16(4, number, true);
  view.setBigInt64(8, increment, true);
  bytes.set(encoded, 16);
  return bytes;
}

/** The records of a batch, each keyspace defined before its first increment. */
export function records(increments: readonly PlainIncrement[]): Uint8Array<ArrayBuffer> {
  const numbers = new Map<string, number>();
  const parts: Uint8Array[] = [];
  for (const [keyspace, key, value] of increments) {
    let number = numbers.get(keyspace);
    if (number === undefined) {
      number = numbers.size;
      numbers.set(keyspace, number);
      parts.push(record(2, number, 0n, keyspace));
    }
    parts.push(record(1, number, value, key));
  }
  return joined(parts);
}

/** One batch: a head and records. */
export function batch(
  sequence: number,
  body: Uint8Array,
  { counters, flags = 0 }: { readonly counters: number; readonly flags?: number },
): Uint8Array<ArrayBuffer> {
  const bytes = joined([new Uint8Array(24), body]);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, body.length, true);
  view.setBigUint64(8, BigInt(sequence), true);
  view.setUint32(16, counters, true);
  view.setUint32(20, flags, true);
  view.setUint32(4, crc32(bytes.subarray(8)), true);
  return bytes;
}

/** One batch of increments. */
export function batchOf(
  sequence: number,
  increments: readonly PlainIncrement[],
): Uint8Array<ArrayBuffer> {
  return batch(sequence, records(increments), { counters: increments.length });
}

/** `[sequence, status, reason, detail]` */
export type PlainAnswer = readonly [number, number, number, number];

export async function receiveAnswer(connection: Deno.TcpConn): Promise<PlainAnswer> {
  const view = await receive(connection, 24);
  const sequence = Number(view.getBigUint64(0, true));
  const detail = Number(view.getBigInt64(16, true));
  return [sequence, view.getUint32(8, true), view.getUint32(12, true), detail];
}

/** The answer to a batch that is taken. */
export const taken = (sequence: number): PlainAnswer => [sequence, 0, 0, 0];

/** Sends bytes, and returns this number of answers. */
export async function ask(
  connection: Deno.TcpConn,
  bytes: Uint8Array,
  count: number,
): Promise<PlainAnswer[]> {
  await sendAll(connection, bytes);
  const answers: PlainAnswer[] = [];
  while (answers.length < count) answers.push(await receiveAnswer(connection));
  return answers;
}

/** Reads answers until all batches up to `sequence` are taken; throws at any other answer. */
export async function receiveTaken(connection: Deno.TcpConn, sequence: number): Promise<void> {
  while (true) {
    const answer = await receiveAnswer(connection);
    if (answer[1] !== 0) throw new Error(`Not taken: ${answer}`);
    if (answer[0] === sequence) return;
  }
}

/** Connects, and goes through the hello. */
export async function connectWithHello(
  port: number,
  introduced: Parameters<typeof introduction>[0] = {},
): Promise<{
  readonly connection: Deno.TcpConn;
  readonly welcome: DataView;
  readonly status: number;
}> {
  const connection = await Deno.connect({ hostname: "127.0.0.1", port });
  connection.setNoDelay(true);
  await sendAll(connection, hello());
  const welcome = await receive(connection, 64);
  await sendAll(connection, introduction(introduced));
  const status = (await receive(connection, 64)).getUint32(0, true);
  return { connection, welcome, status };
}
