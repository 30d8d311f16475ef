/**
 * Seeded random numbers for tests. The seed is printed, and `COUNTD_TEST_SEED` repeats a run.
 */

/** sfc32: small, fast, good enough for tests, and the same on every machine. */
export class Random {
  #a: number;
  #b: number;
  #c: number;
  #counter = 1;

  constructor(readonly seed: number) {
    this.#a = seed | 0;
    this.#b = 0x9e3779b9;
    this.#c = (seed / 2 ** 32) | 0;
    for (let round = 0; round < 12; round++) this.next32();
  }

  /** A whole number in 0 … 2^32 − 1. */
  next32(): number {
    const sum = (this.#a + this.#b + this.#counter) | 0;
    this.#counter = (this.#counter + 1) | 0;
    this.#a = this.#b ^ (this.#b >>> 9);
    this.#b = (this.#c + (this.#c << 3)) | 0;
    this.#c = ((this.#c << 21) | (this.#c >>> 11)) + sum | 0;
    return sum >>> 0;
  }

  /** A number in 0 (with) … 1 (without). */
  fraction(): number {
    return this.next32() / 2 ** 32;
  }

  /** A whole number in 0 … bound − 1. */
  below(bound: number): number {
    return Math.floor(this.fraction() * bound);
  }

  /** A whole number in from … to, both included. */
  between(from: number, to: number): number {
    return from + this.below(to - from + 1);
  }

  chance(probability: number): boolean {
    return this.fraction() < probability;
  }

  pick<T>(items: readonly T[]): T {
    return items[this.below(items.length)] as T;
  }

  shuffle<T>(items: T[]): T[] {
    for (let last = items.length - 1; last > 0; last--) {
      const other = this.below(last + 1);
      [items[last], items[other]] = [items[other] as T, items[last] as T];
    }
    return items;
  }

  bytes(length: number): Uint8Array {
    const bytes = new Uint8Array(length);
    for (let index = 0; index < length; index++) bytes[index] = this.next32();
    return bytes;
  }

  bigInt64(): bigint {
    return BigInt.asIntN(64, (BigInt(this.next32()) << 32n) | BigInt(this.next32()));
  }
}

/** The seed from `COUNTD_TEST_SEED`, else a new one; printed so that a failure can be repeated. */
export function seedForTest(name: string): number {
  const given = Deno.env.get("COUNTD_TEST_SEED");
  const seed = given ? Number(given) : crypto.getRandomValues(new Uint32Array(1))[0] ?? 0;
  console.log(`${name}: COUNTD_TEST_SEED=${seed}`);
  return seed;
}
