/** The map in memory, and the length of its text. Keys such as `__proto__` are ordinary keys. */

import { mapKey, textOfMapKey } from "../../base/map_key.ts";

export class ValueMap {
  /** By `mapKey`. */
  readonly #values = new Map<string, string>();
  #units = 0;

  get size(): number {
    return this.#values.size;
  }

  /** UTF-16 units of all keys and values. */
  get units(): number {
    return this.#units;
  }

  get(key: string): string | undefined {
    return this.#values.get(mapKey(key));
  }

  set(key: string, value: string): void {
    const held = mapKey(key);
    const before = this.#values.get(held);
    this.#units += value.length - (before === undefined ? -key.length : before.length);
    this.#values.set(held, value);
  }

  entries(): IteratorObject<[string, string], undefined> {
    return this.#values.entries().map(([key, value]) => [textOfMapKey(key), value]);
  }
}
