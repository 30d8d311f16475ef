/** The map itself, and how much text it holds. Keys such as `__proto__` are keys like any other. */

export class ValueMap {
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
    return this.#values.get(key);
  }

  set(key: string, value: string): void {
    const before = this.#values.get(key);
    this.#units += value.length - (before === undefined ? -key.length : before.length);
    this.#values.set(key, value);
  }

  entries(): MapIterator<[string, string]> {
    return this.#values.entries();
  }
}
