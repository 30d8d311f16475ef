/**
 * Names that were made to collide in one slot of a table that hashes words by `hash = imul(hash ^ word, odd)`
 * and `hash ^= hash >>> 15`. There a change of bit 31 in one word is undone by a change of bits 31 and 16
 * in the next, whatever the seed is. Each pair of words gives two names of one hash: 17 pairs give 131,072.
 */

export const COLLIDING_NAMES = 2 ** 17;
export const COLLIDING_NAME_BYTES = 17 * 8;

/** Name `index`: its bits say which pairs of words are changed. No byte is NUL. */
export function collidingName(index: number): Uint8Array {
  const name = new Uint8Array(COLLIDING_NAME_BYTES).fill(0x61);
  for (let pair = 0; pair < 17; pair++) {
    if (((index >>> pair) & 1) === 0) continue;
    name[pair * 8 + 3]! ^= 0x80;
    name[pair * 8 + 6]! ^= 0x01;
    name[pair * 8 + 7]! ^= 0x80;
  }
  return name;
}
