/** The words of the command line, as text and byte for byte. */
import type { Argument } from "./option.ts";

/** What stands in place of a byte that is no text. */
const REPLACEMENT = "\ufffd";

/**
 * Deno gives arguments as text, in which bytes that are no UTF-8 are lost. Names are bytes, so where
 * something was lost the words are read again from the system, which keeps them as they were.
 */
export function argumentsOfProcess(texts: readonly string[]): Argument[] {
  const encoder = new TextEncoder();
  const lost = texts.some((text) => text.includes(REPLACEMENT));
  const exact = lost ? exactWords(texts.length) : null;
  return texts.map((text, index) => ({ text, bytes: exact?.[index] ?? encoder.encode(text) }));
}

/** The last `count` words that this process was started with; null where the system keeps none. */
function exactWords(count: number): Uint8Array[] | null {
  try {
    const bytes = Deno.readFileSync("/proc/self/cmdline");
    const words: Uint8Array[] = [];
    for (let start = 0; start < bytes.length;) {
      const end = bytes.indexOf(0, start);
      words.push(bytes.subarray(start, end < 0 ? bytes.length : end));
      start = end < 0 ? bytes.length : end + 1;
    }
    return words.slice(-count);
  } catch {
    return null;
  }
}
