/**
 * Keys for maps that hold names of strangers. V8 hashes texts with a secret of the process, but a decimal
 * number below 2^32 by the number itself. 60,000 multiples of 65,536 have so few hashes that a map of them
 * takes seconds. A sign in front makes such a number a text like any other.
 */

const SIGN = ":";
const DIGITS_MAX = 10;

/** The key under which a map holds `text`. Different texts have different keys. */
export function mapKey(text: string): string {
  const first = text.charCodeAt(0);
  const isNumber = first >= 0x30 && first <= 0x39 && text.length <= DIGITS_MAX;
  return isNumber || first === 0x3a ? SIGN + text : text;
}

/** The text to which `mapKey` gave this key. */
export function textOfMapKey(key: string): string {
  return key.charCodeAt(0) === 0x3a ? key.slice(1) : key;
}
