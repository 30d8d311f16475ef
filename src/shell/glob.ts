/**
 * Patterns for keys: `*` any letters, `?` one letter, `[a-z]` one of these, `[^a-z]` one of the others,
 * `\` the next letter as it is. A `[` that is never closed stands for itself.
 */

/** One letter of the name: whether it fits; null stands for `*`. */
type Token = ((letter: string) => boolean) | null;

/** Tells which names fit, in a time that grows with the name, whatever the pattern. */
export function globMatcher(pattern: string): (name: string) => boolean {
  const tokens = tokensOf([...pattern]);
  return (name) => matches(tokens, [...name]);
}

function matches(tokens: readonly Token[], letters: readonly string[]): boolean {
  let at = 0;
  let token = 0;
  // Where to go on when what follows the last star does not fit.
  let starToken = -1;
  let starAt = 0;
  while (at < letters.length) {
    const next = tokens[token];
    if (next === null) {
      starToken = token++;
      starAt = at;
    } else if (next !== undefined && next(letters[at] as string)) {
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
    const letter = pattern[at] as string;
    const set = letter === "[" ? readSet(pattern, at + 1) : null;
    if (set !== null) {
      tokens.push(set.fits);
      at = set.end;
    } else if (letter === "*") {
      tokens.push(null);
    } else if (letter === "?") {
      tokens.push(() => true);
    } else {
      const literal = letter === "\\" ? pattern[++at] ?? "\\" : letter;
      tokens.push((other) => other === literal);
    }
  }
  return tokens;
}

/** Reads a set from the letter after `[` on; null where it is never closed or empty. */
function readSet(
  pattern: readonly string[],
  start: number,
): { fits: (letter: string) => boolean; end: number } | null {
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
  const fits = (letter: string) => {
    const point = letter.codePointAt(0) as number;
    return isNegated !== ranges.some(([one, other]) => {
      const [low, high] = [one.codePointAt(0) as number, other.codePointAt(0) as number];
      return Math.min(low, high) <= point && point <= Math.max(low, high);
    });
  };
  return { fits, end: at };
}
