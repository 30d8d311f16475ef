/**
 * A hash of names for tables that hold what strangers send: without its secrets, no peer can choose names
 * that collide.
 *
 * It is NH, the hash of UMAC (RFC 4418, section 5.2), over 32-bit words. A secret is added to each word,
 * the halves of the result are multiplied, and the products are summed. This is done twice, the second
 * time with the secrets shifted by one word. So the effect of a difference between two names always
 * depends on a secret: two names have both sums in common for about one choice of secrets in 2^30.
 *
 * A chain of xor, shift and multiplication by a constant has no such bound: a difference in the top bit of
 * a word and one in the next word cancel each other under every seed. Secrets that are derived from each
 * other would not do either: many differences would then have the same sums.
 *
 * The bound is valid for names that are chosen without knowledge of the secrets. Tables therefore also
 * watch the length of their probes: see `renew`.
 */

/** The longest name that may be hashed has 256 bytes. */
const WORDS_MAX = 64;

/**
 * Slots that a new key may have to pass. In a table that is at most 70 % full, chance alone exceeds this
 * for one key in 10^20.
 */
export const PROBES_MAX = 1024;

export class KeyedHash {
  /** For each word the second sum takes the secret of the next word. */
  readonly #secrets = crypto.getRandomValues(new Int32Array(WORDS_MAX + 1));
  #keysAtRenewal = 0;

  /** The hash of `words[from, end)`, at most 256 bytes, together with a number. */
  of(words: Int32Array, from: number, end: number, number: number): number {
    const secrets = this.#secrets;
    let secret = secrets[0]!;
    let first = 0;
    let second = (number + secret) | 0;
    for (let at = from; at < end; at++) {
      const word = words[at]!;
      const one = (word + secret) | 0;
      secret = secrets[at - from + 1]!;
      const other = (word + secret) | 0;
      first = (first + Math.imul(one & 0xffff, one >>> 16)) | 0;
      second = (second + Math.imul(other & 0xffff, other >>> 16)) | 0;
    }
    // Tables use the low bits: mix, so that each of them depends on all bits of both sums.
    let hash = (((first << 16) | (first >>> 16)) + second) | 0;
    hash = Math.imul(hash ^ (hash >>> 15), 0x85ebca6b);
    return hash ^ (hash >>> 16);
  }

  /**
   * The hashes of many names, as `of` gives them: each begins at `starts[i]`, and its length in bytes is
   * `numbers[i] & lengthMask`. This is the hottest loop, so nothing is called from it: the compiler would
   * not inline a call for each name. The first four words are written out, with their secrets in
   * registers: that takes a quarter less time for a name of 16 bytes.
   */
  ofEach(
    words: Int32Array,
    starts: Int32Array,
    numbers: Int32Array,
    lengthMask: number,
    count: number,
    into: Int32Array,
  ): void {
    const secrets = this.#secrets;
    const secret0 = secrets[0]!;
    const secret1 = secrets[1]!;
    const secret2 = secrets[2]!;
    const secret3 = secrets[3]!;
    const secret4 = secrets[4]!;
    for (let index = 0; index < count; index++) {
      const number = numbers[index]!;
      const from = starts[index]!;
      const end = from + (((number & lengthMask) + 3) >> 2);
      let secret = secret0;
      let first = 0;
      let second = (number + secret0) | 0;
      let at = from;
      if (end - from >= 4) {
        const one0 = (words[from]! + secret0) | 0;
        const other0 = (words[from]! + secret1) | 0;
        const one1 = (words[from + 1]! + secret1) | 0;
        const other1 = (words[from + 1]! + secret2) | 0;
        const one2 = (words[from + 2]! + secret2) | 0;
        const other2 = (words[from + 2]! + secret3) | 0;
        const one3 = (words[from + 3]! + secret3) | 0;
        const other3 = (words[from + 3]! + secret4) | 0;
        first = (Math.imul(one0 & 0xffff, one0 >>> 16) + Math.imul(one1 & 0xffff, one1 >>> 16)) | 0;
        first = (first + Math.imul(one2 & 0xffff, one2 >>> 16)) | 0;
        first = (first + Math.imul(one3 & 0xffff, one3 >>> 16)) | 0;
        second = (second + Math.imul(other0 & 0xffff, other0 >>> 16)) | 0;
        second = (second + Math.imul(other1 & 0xffff, other1 >>> 16)) | 0;
        second = (second + Math.imul(other2 & 0xffff, other2 >>> 16)) | 0;
        second = (second + Math.imul(other3 & 0xffff, other3 >>> 16)) | 0;
        secret = secret4;
        at = from + 4;
      }
      for (; at < end; at++) {
        const word = words[at]!;
        const one = (word + secret) | 0;
        secret = secrets[at - from + 1]!;
        const other = (word + secret) | 0;
        first = (first + Math.imul(one & 0xffff, one >>> 16)) | 0;
        second = (second + Math.imul(other & 0xffff, other >>> 16)) | 0;
      }
      let hash = (((first << 16) | (first >>> 16)) + second) | 0;
      hash = Math.imul(hash ^ (hash >>> 15), 0x85ebca6b);
      into[index] = hash ^ (hash >>> 16);
    }
  }

  /**
   * Takes new secrets, which change every hash, for a table of this many keys in which a key is more than
   * `PROBES_MAX` slots from its own. Refuses (false) until the table has twice the keys that it had the
   * last time: so this never costs more than growth does, even if it does not help.
   */
  renew(keys: number): boolean {
    if (keys < 2 * this.#keysAtRenewal) return false;
    this.#keysAtRenewal = keys;
    crypto.getRandomValues(this.#secrets);
    return true;
  }
}
