/**
 * A row of the table of ratios. A bench reports its rows; run alone it prints them for a person, under
 * `deno task bench` they are collected into RESULTS.md.
 */

export interface BenchRow {
  /** Order in the table, such as "1" or "aof 2". */
  readonly id: string;
  /** What both sides do. */
  readonly work: string;
  /** What it is compared with. */
  readonly against: string;
  readonly ours: string;
  readonly theirs: string;
  /** The measured figure, such as "21.3×". */
  readonly result: string;
  readonly goal: string;
  /** Null for a row without a goal. */
  readonly met: boolean | null;
}

const mark = "ROW ";

/** Set by `main.ts` for the benches that it runs. */
export const collectVariable = "COUNTD_BENCH_COLLECT";

export function reportRow(row: BenchRow): void {
  if (Deno.env.get(collectVariable) !== undefined) return console.log(mark + JSON.stringify(row));
  const met = row.met === null ? "" : row.met ? " met" : " MISSED";
  console.log(
    `${row.id}. ${row.work}, against ${row.against}: ${row.ours} against ${row.theirs}, ` +
      `${row.result} (goal ${row.goal}${met})`,
  );
}

/** The row in a line of a bench's output, or null. */
export function rowIn(line: string): BenchRow | null {
  return line.startsWith(mark) ? JSON.parse(line.slice(mark.length)) as BenchRow : null;
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((left, right) => left - right);
  const middle = Math.floor(sorted.length / 2);
  const upper = sorted[middle] ?? NaN;
  return sorted.length % 2 === 1 ? upper : ((sorted[middle - 1] ?? NaN) + upper) / 2;
}

/** `1.23 million/s` and the like. */
export function perSecond(count: number, ms: number): string {
  const rate = count / ms * 1000;
  if (rate >= 1e6) return `${(rate / 1e6).toFixed(2)} million/s`;
  return rate >= 1e3 ? `${(rate / 1e3).toFixed(1)} thousand/s` : `${rate.toFixed(0)}/s`;
}
