/** The verbs that end by themselves: their command lines, and what a right answer is. */

import { isNamed, ofEnded, type Outcome } from "./outcome.ts";
import type { Scene } from "./scene.ts";
import { truth } from "./sample.ts";
import {
  compare,
  exportedMap,
  isFat,
  isReported,
  isStored,
  isUndetectable,
  nextBytes,
} from "./truth.ts";

export interface Verb {
  readonly name: string;
  /** Drives it in one scene. */
  readonly drive: (scene: Scene) => Promise<Outcome>;
  /** It keeps files open, so the event may also come while it runs. */
  readonly isDaemon?: true;
  /** It reads the backup of the scene. */
  readonly isOfBackup?: true;
}

/** A verb that prints what is stored. */
function reading(name: string, args: readonly string[], expected: string): Verb {
  return {
    name,
    async drive(scene) {
      const ended = await scene.run([...args, "--data", scene.data]);
      return ofFound(scene, ended, ended?.code === 0 && ended.text === expected);
    },
  };
}

/** "Not found" is an answer too, and wrong if the thing was there. */
function ofFound(
  scene: Scene,
  ended: Awaited<ReturnType<Scene["run"]>>,
  isRight: boolean,
  isAbsent = false,
): Outcome {
  const outcome = ofEnded(scene, ended, { answers: compare(scene, isRight) });
  const isNotFound = ended?.code === 3 &&
    /^countd: No (?:keyspace|counter|key)\b/im.test(ended.stderr);
  if (!isNotFound || isAbsent) return outcome;
  return { ...outcome, word: compare(scene, false) === "older" ? "older" : "WRONG" };
}

/** A verb that makes a copy at `out`, which is compared. */
function copying(
  name: string,
  args: (scene: Scene) => readonly string[],
  options: Pick<Verb, "isOfBackup"> = {},
): Verb {
  return {
    ...options,
    name,
    async drive(scene) {
      const ended = await scene.run(args(scene));
      // Of the copying verbs, repair tells on stdout what it did.
      const report = name === "repair" ? ended?.text ?? "" : "";
      if (isFat(scene.out) || isFat(`${scene.data}/repair-saved`)) {
        return { word: "FAT", said: ended?.text ?? "" };
      }
      // A file that could not be saved, and is named, is not a wrong copy.
      const isExcused = () => isNamed(scene, `${ended?.stderr}\n${report}`);
      const isRight = ended?.code !== 0 || await isInCopy(scene, name) || isExcused();
      const outcome = ofEnded(scene, ended, { answers: compare(scene, isRight), report });
      return { ...outcome, word: outcome.word === "WRONG" ? "LOST" : outcome.word };
    },
  };
}

/** True if the copy at `out` has what it should; a backup is restored first. */
async function isInCopy(scene: Scene, name: string): Promise<boolean> {
  if (name !== "backup") return await isStored(scene, scene.out);
  const restored = `${scene.out}-restored`;
  const ended = await scene.runAfterwards(["restore", scene.out, "--data", restored]);
  return ended?.code === 0 && await isStored(scene, restored);
}

/** A verb that looks for damage. */
function inspecting(name: string, args: (scene: Scene) => readonly string[]): Verb {
  return {
    name,
    async drive(scene) {
      const ended = await scene.run(args(scene));
      const outcome = ofEnded(scene, ended, { answers: "right" });
      const isUnharmed = !changesBytes(scene) || (name === "log inspect" && hasAllFrames(scene));
      if (outcome.word !== "goes on" || isUnharmed) return outcome;
      return { ...outcome, word: isUndetectable(scene) ? "goes on" : "UNSEEN" };
    },
  };
}

/** True if the file is not the one that was there. */
function changesBytes({ event, kind }: Scene): boolean {
  return !kind.harmless?.includes(event.name) &&
    ["removed", "older copy", "truncated", "grown sparse", "FIFO", "socket", "directory"]
      .includes(event.name);
}

/** True for a commit log whose size alone is another: frames tell where they end, as in a backup. */
function hasAllFrames({ kind, event }: Scene): boolean {
  return kind.name === "log" && event.isOfSize === true;
}

/** Keeps a value of some GiB from the memory of the test. */
function firstMebibyte(command: readonly string[]): string[] {
  return ["bash", "-c", 'set -o pipefail; "$@" | head -c 1048576', "bash", ...command];
}

const kvGet: Verb = {
  name: "kv get",
  async drive(scene) {
    const path = `${scene.data}/tables/jobs.tbl/next.kv`;
    const expected = nextBytes(scene, path);
    const args = ["kv", "get", "next", "--table", "jobs", "--data", scene.data];
    const ended = await scene.run(args, firstMebibyte);
    const isAbsent = expected === null && scene.event.name === "removed";
    if (isAbsent && ended?.code === 3) return { word: "exit 3", said: ended.stderr };
    const isRight = ended?.code === 0 && ended.text === expected;
    const outcome = ofFound(scene, ended, isRight, isAbsent);
    return outcome.word === "older" && isRight ? { ...outcome, word: "goes on" } : outcome;
  },
};

const kvSet: Verb = {
  name: "kv set",
  async drive(scene) {
    const args = ["kv", "set", "next", "18", "--table", "jobs", "--data", scene.data];
    const ended = await scene.run(args);
    const isKept = ended?.code !== 0 ||
      await isStoredValue(scene, "18") || await isReported(scene, scene.data);
    const outcome = ofEnded(scene, ended, { answers: isKept ? "right" : "wrong" });
    return { ...outcome, word: outcome.word === "WRONG" ? "LOST" : outcome.word };
  },
};

async function isStoredValue(scene: Scene, value: string): Promise<boolean> {
  const args = ["kv", "get", "next", "--table", "jobs", "--data", scene.data];
  const got = await scene.runAfterwards(args);
  return got?.code === 0 && got.text === value;
}

const dbExport: Verb = {
  name: "db export",
  async drive(scene) {
    const ended = await scene.run(["db", "export", scene.out, "--data", scene.data]);
    const isRight = ended?.code === 0 && Object.entries(truth.database)
      .every(([key, value]) => exportedMap(scene.out)[key] === value);
    return ofEnded(scene, ended, { answers: compare(scene, isRight) });
  },
};

/** The lines of a status that tell about files. */
const status: Verb = {
  name: "status",
  async drive(scene) {
    const ended = await scene.run(["status", "--data", scene.data]);
    const report = ended?.text.match(/^trouble\t.*$/gm)?.join("\n") ?? "";
    return ofEnded(scene, ended, { answers: "right", report });
  },
};

export const verbs: readonly Verb[] = [
  reading("top", ["top", "visits"], truth.top),
  reading("get", ["get", "visits", "a"], `${truth.a}\n`),
  reading("keyspaces", ["keyspaces"], truth.keyspaces),
  status,
  inspecting("check", ({ data }) => ["check", "--data", data]),
  copying("backup", ({ data, out }) => ["backup", out, "--data", data]),
  copying("repair", ({ data, out }) => ["repair", "--out", out, "--data", data]),
  copying("restore", ({ backup, out }) => ["restore", backup, "--data", out], { isOfBackup: true }),
  kvGet,
  kvSet,
  dbExport,
  inspecting("log inspect", (scene) => ["log", "inspect", scene.target().path]),
];
