/** A reader with an opening of its own, and small helpers around it. */

import { systemClock } from "../../../src/base/clock.ts";
import { noEvents } from "../../../src/base/events.ts";
import { Reader, type ReaderOptions } from "../../../src/counters/view/mod.ts";
import type { LivingDirectory } from "./living_directory.ts";
import { latin1Bytes, latin1Text, type PlainRow } from "./plain_base.ts";

/** A reader with an opening of its own, as another process has. */
export class OpenReader extends Reader {
  constructor(living: LivingDirectory, options: Partial<ReaderOptions> = {}) {
    super(living.openAgain(), { stale: false, clock: systemClock, events: noEvents, ...options });
  }

  override [Symbol.dispose](): void {
    super[Symbol.dispose]();
    this.directory.close();
  }

  async rows(keyspace: string, offset = 0, length = 1000): Promise<PlainRow[]> {
    const page = await this.page(latin1Bytes(keyspace), { offset, length });
    return page.rows.map(({ key, value }) => ({ key: latin1Text(key), value }));
  }
}

export async function listed(reader: Reader): Promise<[string, number | null][]> {
  const rows = await reader.keyspaces(new Uint8Array(0));
  return rows.map(({ name, counters }) => [latin1Text(name), counters]);
}

export function modelList(living: LivingDirectory): [string, number][] {
  return Array.from(living.model, ([name, counters]): [string, number] => [name, counters.size])
    .sort(([left], [right]) => left < right ? -1 : 1);
}

/** Changes the first byte of a text in a log; returns a function that restores it. */
export function damage(path: string, text: string): () => void {
  const mode = Deno.statSync(path).mode! & 0o777;
  Deno.chmodSync(path, 0o600);
  const at = latin1Text(Deno.readFileSync(path)).indexOf(text);
  const poke = (byte: string) => {
    Deno.chmodSync(path, 0o600);
    using file = Deno.openSync(path, { write: true });
    file.seekSync(at, Deno.SeekMode.Start);
    file.writeSync(latin1Bytes(byte));
    Deno.chmodSync(path, mode);
  };
  poke(text.charAt(0).toUpperCase());
  return () => poke(text.charAt(0));
}
