/** What the tests of append-only files share. */

import { assertEquals } from "@std/assert";
import {
  type Aof,
  check,
  type ClosedEvent,
  type Consumer,
  Geometry,
  MAGIC_TAIL,
  type ReadEvent,
  type STOP_TAILING,
} from "../../src/aof/mod.ts";
import { type Storage, systemStorage } from "../../src/file/mod.ts";
import { withTemporaryDirectory } from "../support/temporary.ts";

export const storage = systemStorage();

export function text(value: string): Uint8Array {
  return new TextEncoder().encode(value);
}

export function textOf(bytes: Uint8Array): string {
  return new TextDecoder().decode(bytes);
}

export function littleEndian(value: bigint): Uint8Array {
  const bytes = new Uint8Array(8);
  new DataView(bytes.buffer).setBigUint64(0, value, true);
  return bytes;
}

export const tailMark = littleEndian(MAGIC_TAIL);

export function concat(...parts: Uint8Array[]): Uint8Array {
  const whole = new Uint8Array(parts.reduce((length, part) => length + part.length, 0));
  let offset = 0;
  for (const part of parts) {
    whole.set(part, offset);
    offset += part.length;
  }
  return whole;
}

/** A geometry that makes files, of one page growing by pages. */
export function creating(sizeUpper = 65536): Geometry {
  return new Geometry({ create: true, sizeUpper });
}

export function assertChecks(path: string, on: Storage = storage): void {
  assertEquals(check(on, path), []);
}

/**
 * Runs `body` with a path for an append-only file in a directory of its own; afterwards the file must
 * pass its check, unless `damaged` says that the test broke it.
 */
export async function withFile(
  body: (path: string) => void | Promise<void>,
  { damaged = false }: { damaged?: boolean } = {},
): Promise<void> {
  await withTemporaryDirectory(async (directory) => {
    const path = `${directory}/log`;
    await body(path);
    if (storage.statusOrNull(path)?.kind === "file" && !damaged) assertChecks(path);
  });
}

/** The first bytes of the file behind an instance, as they are on disk. */
export function onDisk(path: string, length?: number): Uint8Array {
  return Deno.readFileSync(path).subarray(0, length);
}

/** The data of an instance. */
export function dataOf(aof: Aof): Uint8Array {
  return aof.bytes.slice(0, aof.size);
}

export interface Seen {
  readonly begin: number;
  readonly end: number;
  readonly text: string;
  readonly eof: boolean;
  readonly reason: number;
}

/** Keeps what it sees; `takes` decides the new position. */
export class Recorder implements Consumer {
  readonly seen: Seen[] = [];
  readonly closed: ClosedEvent[] = [];

  constructor(
    readonly takes: (event: ReadEvent) => number | typeof STOP_TAILING = (event) => event.end,
  ) {}

  pollRead(event: ReadEvent): number | typeof STOP_TAILING {
    const { begin, end, eof, reason } = event;
    this.seen.push({ begin, end, eof, reason, text: textOf(event.tail) });
    return this.takes(event);
  }

  pollReadClosed(event: ClosedEvent): void {
    this.closed.push(event);
  }

  get text(): string {
    return this.seen.map((event) => event.text).join("");
  }
}

/** Wait until everything that is due on the event loop has run. */
export async function turns(count = 5): Promise<void> {
  for (let turn = 0; turn < count; turn++) {
    await new Promise((resolve) => setTimeout(resolve, 0));
  }
}
