/**
 * What an image must hold, and what it may hold. The clients note, outside the disk, which event was the
 * newest when they sent something and when its answer came. An answer at event N holds at every cut from N
 * on. What was sent at event N can only be in writes after N.
 */

/** Something that was asked of a daemon. */
export interface Request {
  /** The newest event when it was sent. */
  readonly sentAt: number;
  /** The newest event when its answer came; infinite without an answer. */
  answeredAt: number;
}

export function isSent({ sentAt }: Request, cut: number): boolean {
  return sentAt < cut;
}

export function isAnswered({ answeredAt }: Request, cut: number): boolean {
  return answeredAt <= cut;
}

/** When answers came. */
export function answersOf(requests: readonly Request[]): number[] {
  return requests.map(({ answeredAt }) => answeredAt).filter(Number.isFinite);
}

export interface Increment extends Request {
  readonly keyspace: string;
  readonly key: string;
  /** Above 0, so that sums only grow. */
  readonly increment: number;
}

/** Counters by keyspace and key, joined by a tab. */
export type Counts = ReadonlyMap<string, number>;

export function counterName(keyspace: string, key: string): string {
  return `${keyspace}\t${key}`;
}

/** The sum of each counter over the increments that count. */
function sums(increments: readonly Increment[], counts: (one: Increment) => boolean): Counts {
  const found = new Map<string, number>();
  for (const one of increments) {
    if (!counts(one)) continue;
    const name = counterName(one.keyspace, one.key);
    found.set(name, (found.get(name) ?? 0) + one.increment);
  }
  return found;
}

/** Per counter: answered ≤ stored ≤ sent. */
export function countProblems(
  increments: readonly Increment[],
  cut: number,
  stored: Counts,
): string[] {
  const problems: string[] = [];
  const answered = sums(increments, (one) => isAnswered(one, cut));
  const sent = sums(increments, (one) => isSent(one, cut));
  for (const [name, least] of answered) {
    const value = stored.get(name) ?? 0;
    if (value < least) problems.push(`lost: ${name} is ${value}, answered ${least}`);
  }
  for (const [name, value] of stored) {
    const most = sent.get(name) ?? 0;
    if (value > most) problems.push(`doubled or invented: ${name} is ${value}, sent ${most}`);
  }
  return problems;
}

/** Where two readings of the same counters differ. */
export function differences(left: Counts, right: Counts): string[] {
  const names = new Set([...left.keys(), ...right.keys()]);
  return [...names].filter((name) => left.get(name) !== right.get(name))
    .map((name) => `${name}: ${left.get(name)} and ${right.get(name)}`);
}

/** A change of one key. All changes of a key come from one client, one after the other. */
export interface Change extends Request {
  readonly key: string;
  /** Null removes the key. */
  readonly value: string | null;
}

/** Per key: the value of the last answered change, or of a later one that was sent. */
export function valueProblems(
  changes: readonly Change[],
  cut: number,
  stored: ReadonlyMap<string, string>,
): string[] {
  const byKey = new Map<string, Change[]>();
  for (const change of changes) {
    if (!isSent(change, cut)) continue;
    byKey.set(change.key, [...byKey.get(change.key) ?? [], change]);
  }
  const problems: string[] = [];
  for (const [key, sent] of byKey) {
    const last = sent.findLastIndex((change) => isAnswered(change, cut));
    const allowed = sent.slice(Math.max(last, 0)).map(({ value }) => value);
    if (last === -1) allowed.push(null);
    const value = stored.get(key) ?? null;
    if (!allowed.includes(value)) {
      const texts = allowed.slice(0, 4).map((text) => text?.slice(0, 20) ?? "nothing");
      problems.push(`${key} is ${value?.slice(0, 40) ?? "gone"}, allowed ${texts.join(", ")}`);
    }
  }
  for (const key of stored.keys()) {
    if (!byKey.has(key)) problems.push(`invented: ${key} is ${stored.get(key)?.slice(0, 40)}`);
  }
  return problems;
}
