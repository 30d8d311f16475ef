/**
 * Checks whether a history of calls on a key/value store is linearizable. It is if every call can be given
 * one instant between its start and its end, such that in the order of these instants each call did what a
 * single map would have done.
 *
 * After Wing and Gong (1993), with Lowe's just-in-time order and a memo. The events are processed in the
 * order of time. All states are kept that the map can have, each with the set of open calls that have taken
 * effect in it. A call must take effect at its end at the latest. Keys are independent, so each is checked
 * alone.
 */

export type CallKind = "get" | "set" | "create" | "update" | "delete";

export interface Call {
  readonly process: number;
  readonly kind: CallKind;
  readonly key: string;
  /** What a writing call wrote, or what `get` found; null for no value. */
  readonly value: string | null;
  /**
   * `absent`: get, update found no key. `exists`: create found one. `unchanged`: the call failed and
   * promises to have done nothing. `unknown`: the process died in the call; it may have taken effect.
   */
  readonly outcome: "ok" | "absent" | "exists" | "unchanged" | "unknown";
  /** Tickets of one counter for all processes. `end` does not count where the outcome is `unknown`. */
  readonly start: number;
  readonly end: number;
}

export interface Contradiction {
  readonly key: string;
  /** The call that no state allows. */
  readonly call: Call;
  /** The calls that were open at its end. */
  readonly open: readonly Call[];
  /** The values that the key could have had then. */
  readonly possible: readonly (string | null)[];
}

/** Null for a linearizable history. Every key starts absent. */
export function findContradiction(history: readonly Call[]): Contradiction | null {
  for (const [key, calls] of Map.groupBy(history, (call) => call.key)) {
    const contradiction = checkKey(key, calls.filter((call) => call.outcome !== "unchanged"));
    if (contradiction !== null) return contradiction;
  }
  return null;
}

/** A state of the key, and a bit for each open call that took effect. */
interface Configuration {
  readonly value: string | null;
  readonly done: number;
}

/** Bits of a configuration: calls that can be open at one time. */
const OPEN_MAX = 31;

function checkKey(key: string, calls: readonly Call[]): Contradiction | null {
  const events = calls.flatMap((call) =>
    call.outcome === "unknown"
      ? [{ at: call.start, call, ends: false }]
      : [{ at: call.start, call, ends: false }, { at: call.end, call, ends: true }]
  );
  // Starts before ends: calls that touch in one reading of the clock may have overlapped.
  events.sort((one, other) => one.at - other.at || Number(one.ends) - Number(other.ends));
  const open: (Call | null)[] = [];
  const slots = new Map<Call, number>();
  let configurations: Configuration[] = [{ value: null, done: 0 }];
  for (const { call, ends } of events) {
    if (!ends) {
      const free = open.indexOf(null);
      const slot = free === -1 ? open.length : free;
      if (slot >= OPEN_MAX) throw new Error(`More than ${OPEN_MAX} calls on ${key} at one time`);
      open[slot] = call;
      slots.set(call, slot);
      continue;
    }
    const slot = slots.get(call) as number;
    const after = takeEffect(configurations, open, slot);
    if (after.length === 0) {
      const possible = [...new Set(configurations.map(({ value }) => value))];
      return { key, call, open: open.filter((other) => other !== null), possible };
    }
    configurations = after;
    open[slot] = null;
    slots.delete(call);
  }
  return null;
}

/** All configurations in which the call in `slot` has taken effect, without its bit. */
function takeEffect(
  before: readonly Configuration[],
  open: readonly (Call | null)[],
  slot: number,
): Configuration[] {
  const seen = new Set<string>();
  const after = new Map<string, Configuration>();
  const todo = [...before];
  for (let next = todo.pop(); next !== undefined; next = todo.pop()) {
    const name = `${next.done}:${next.value}`;
    if (seen.has(name)) continue;
    seen.add(name);
    if (next.done & (1 << slot)) {
      const done = next.done & ~(1 << slot);
      after.set(`${done}:${next.value}`, { value: next.value, done });
      continue;
    }
    for (let other = 0; other < open.length; other++) {
      const call = open[other];
      if (!call || next.done & (1 << other)) continue;
      const value = effect(call, next.value);
      if (value !== undefined) todo.push({ value, done: next.done | (1 << other) });
    }
  }
  return [...after.values()];
}

/** The value after a call, or undefined if the call could not have ended as it did. */
function effect(call: Call, value: string | null): string | null | undefined {
  if (call.outcome === "absent") return value === null ? null : undefined;
  if (call.outcome === "exists") return value === null ? undefined : value;
  const known = call.outcome === "ok";
  switch (call.kind) {
    case "get":
      return !known || call.value === value ? value : undefined;
    case "set":
      return call.value;
    case "delete":
      return null;
    case "create":
      return value === null ? call.value : known ? undefined : value;
    case "update":
      return value !== null ? call.value : known ? undefined : value;
  }
}
