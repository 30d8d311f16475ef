/**
 * Which suites are long. `deno task long --minutes N` shares its time by these weights, and `deno task test`
 * begins with the heaviest.
 */

/**
 * The weight of a suite is that of the longest row with which its path below `tests/` begins, or 1. It is
 * about the minutes that its full count takes on one processor.
 */
export const WEIGHTS: Readonly<Record<string, number>> = {
  "counters/keyspace/aggregator": 2,
  "crash/commitlog_crash": 9,
  "crash/corruption": 2,
  "crash/keyspace_crash": 30,
  "crash/kill": 12,
  "crash/protocol_points": 5,
  "database/crash": 2,
  "database/verb": 2,
  "hostile/": 4,
  "moving/matrix": 5,
  "planted/": 5,
  "powercut/": 8,
  "tables/linearizability": 2,
};

export function weightOf(file: string, weights: Readonly<Record<string, number>>): number {
  const rows = Object.keys(weights).filter((begin) => file.startsWith(begin));
  const longest = rows.sort((left, right) => right.length - left.length)[0];
  return longest === undefined ? 1 : weights[longest] as number;
}
