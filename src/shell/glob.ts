/**
 * Patterns for keys: `*` matches any characters, `?` one character, `[a-z]` one of these, `[^a-z]` one
 * of the others, `\` the next character literally. A `[` that is never closed matches itself.
 */

/** Tells whether a character of the name matches; null is `*`. */
type Token = ((char: string) => boolean) | null;

/** Returns a function that tells whether a name matches. No pattern makes it exponential. */
export function globMatcher(pattern: string): (name: string) => boolean {
  const tokens = tokensOf([...pattern]);
  return (name) => matches(tokens, [...name]);
}

function matches(tokens: readonly Token[], chars: readonly string[]): boolean {
  let at = 0;
  let token = 0;
  // Where to continue if what follows the last star does not match.
  let starToken = -1;
  let starAt = 0;
  while (at < chars.length) {
    const next = tokens[token];
    if (next === null) {
      starToken = token++;
      starAt = at;
    } else if (next !== undefined && next(chars[at] as string)) {
      token++;
      at++;
    } else if (starToken >= 0) {
      token = starToken + 1;
      at = ++starAt;
    } else {
      return false;
    }
  }
  while (tokens[token] === null) token++;
  return token === tokens.length;
}

function tokensOf(pattern: readonly string[]): Token[] {
  const tokens: Token[] = [];
  for (let at = 0; at < pattern.length; at++) {
    const char = pattern[at] as string;
    const set = char === "[" ? readSet(pattern, at + 1) : null;
    if (set !== null) {
      tokens.push(set.fits);
      at = set.end;
    } else if (char === "*") {
      tokens.push(null);
    } else if (char === "?") {
      tokens.push(() => true);
    } else {
      const literal = char === "\\" ? pattern[++at] ?? "\\" : char;
      tokens.push((other) => other === literal);
    }
  }
  return tokens;
}

/** Reads a set from the character after `[` on; null if it is empty or never closed. */
function readSet(
  pattern: readonly string[],
  start: number,
): { fits: (char: string) => boolean; end: number } | null {
  const isNegated = pattern[start] === "^";
  const ranges: [string, string][] = [];
  let at = isNegated ? start + 1 : start;
  const take = () => pattern[at] === "\\" && at + 1 < pattern.length ? pattern[++at] : pattern[at];
  while (at < pattern.length && pattern[at] !== "]") {
    const first = take() as string;
    at++;
    if (pattern[at] !== "-" || at + 1 >= pattern.length || pattern[at + 1] === "]") {
      ranges.push([first, first]);
      continue;
    }
    at++;
    ranges.push([first, take() as string]);
    at++;
  }
  if (at >= pattern.length || ranges.length === 0) return null;
  const fits = (char: string) => {
    const point = char.codePointAt(0) as number;
    return isNegated !== ranges.some(([one, other]) => {
      const [low, high] = [one.codePointAt(0) as number, other.codePointAt(0) as number];
      return Math.min(low, high) <= point && point <= Math.max(low, high);
    });
  };
  return { fits, end: at };
}
