/** Compares what is stored after a verb with the truth. */

import type { Ended } from "../support/process.ts";
import { type Answers, isNamed } from "./outcome.ts";
import { exists, type Scene } from "./scene.ts";
import { truth } from "./sample.ts";

/** What a directory should hold, beside the sample. */
export interface Expected {
  /** Least and greatest value of the counter `a`. */
  readonly a?: readonly [low: number, high: number];
  /** What the key `next` may have. */
  readonly next?: readonly string[];
  readonly database?: Readonly<Record<string, string>>;
}

/** More than a copy of the sample may take. */
const COPY_BYTES_MAX = 128 * 2 ** 20;

/** The value under the key `next`, as far as the event itself did not change it; null if it is absent. */
export function nextBytes({ kind, event }: Scene, path: string): string | null {
  if (!exists(path)) return null;
  if (kind.name !== "value" && kind.name !== "table") return truth.next;
  if (event.name === "truncated") return truth.next.slice(0, 1);
  return event.name === "older copy" ? truth.olderNext : truth.next;
}

/** True if the event may leave other bytes, and nothing in them shows it. */
export function isUndetectable({ kind, event }: Scene): boolean {
  return kind.undetectable.includes(event.name);
}

/** Right, or as the older copy has it, or wrong. */
export function compare(scene: Scene, isRight: boolean): Answers {
  if (isRight) return "right";
  return isUndetectable(scene) ? "older" : "wrong";
}

/** What is stored below `data` is what it should be, or reading it is refused in words. */
export async function isStored(
  scene: Scene,
  data: string,
  expected: Expected = {},
): Promise<boolean> {
  switch (scene.kind.holds) {
    case "counters":
      return await countersAre(scene, data, expected.a ?? [truth.a, truth.a]);
    case "tables":
      return await valueIs(scene, data, expected.next);
    case "database":
      return await databaseHas(scene, data, expected.database ?? truth.database);
    case "bytes":
      return true;
  }
}

function isRefused(scene: Scene, ended: Ended | null): boolean {
  if (ended === null) return false;
  return ended.code !== 0 && ended.code !== 3 && isNamed(scene, ended.stderr + ended.text);
}

async function countersAre(
  scene: Scene,
  data: string,
  [low, high]: readonly [number, number],
): Promise<boolean> {
  const got = await scene.runAfterwards(["get", "visits", "a", "--data", data]);
  if (isRefused(scene, got)) return true;
  const value = got?.code === 0 ? Number(got.text) : NaN;
  return low <= value && value <= high;
}

async function valueIs(
  scene: Scene,
  data: string,
  next?: readonly string[],
): Promise<boolean> {
  const path = `${data}/tables/jobs.tbl/next.kv`;
  if (next === undefined && scene.event.name === "removed" && !exists(path)) return true;
  const command = ["kv", "get", "next", "--table", "jobs", "--data", data];
  const got = await scene.runAfterwards(command);
  if (isRefused(scene, got)) return true;
  if (got?.code === 3) return scene.event.name === "removed";
  const expected = next ?? [nextBytes(scene, path)];
  return got?.code === 0 && expected.includes(got.text);
}

async function databaseHas(
  scene: Scene,
  data: string,
  expected: Readonly<Record<string, string>>,
): Promise<boolean> {
  const out = `${scene.out}-exported`;
  const got = await scene.runAfterwards(["db", "export", out, "--data", data]);
  if (isRefused(scene, got)) return true;
  if (got?.code !== 0) return false;
  const map = exportedMap(out);
  return Object.entries(expected).every(([key, value]) => map[key] === value);
}

/** The map that `db export` wrote. */
export function exportedMap(out: string): Record<string, string> {
  return JSON.parse(Deno.readTextFileSync(`${out}/db.json`));
}

/** True if check reports the file, so that a loss is not silent. */
export async function isReported(scene: Scene, data: string): Promise<boolean> {
  const checked = await scene.runAfterwards(["check", "--data", data]);
  return checked !== null && checked.code !== 0 && isNamed(scene, checked.text + checked.stderr);
}

/** True if a directory takes more disk than a copy of the sample may. */
export function isFat(path: string): boolean {
  const bytes = (below: string): number => {
    const { isDirectory, blocks } = Deno.lstatSync(below);
    if (!isDirectory) return (blocks ?? 0) * 512;
    return [...Deno.readDirSync(below)].reduce(
      (sum, { name }) => sum + bytes(`${below}/${name}`),
      0,
    );
  };
  return exists(path) && bytes(path) > COPY_BYTES_MAX;
}
