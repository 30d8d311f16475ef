/**
 * countd with one sync removed, as a program: its command line, with the bug that `POWERCUT_BUG` names.
 * It replaces methods of the storage, so that no line of countd is changed.
 */

import { runCommandLine } from "../../src/cli/mod.ts";
import { type Storage, systemStorage } from "../../src/file/mod.ts";
import { SystemFile } from "../../src/file/system_file.ts";
import { SystemFileSystem } from "../../src/file/system_file_system.ts";

/** Syncs of files do nothing between two points of the protocol, or always. */
type Bug = { readonly from: string; readonly to: string } | "always" | "directories";

export const PLANTED_BUGS: Readonly<Record<string, Bug>> = {
  "sync A of the fold": { from: "fold.4.before", to: "fold.4.after" },
  "sync B of the fold": { from: "fold.6.before", to: "fold.6.after" },
  "the sync of a new slot": { from: "create.2.before", to: "create.2.after" },
  "the sync of a directory": "directories",
  "the sync before an answer": "always",
};

type Methods = Record<string, (this: unknown, ...words: unknown[]) => unknown>;

/** Makes a method do nothing while `isSkipped()`. */
function skip(prototype: object, name: string, isSkipped: () => boolean): void {
  const methods = prototype as Methods;
  const inner = methods[name];
  if (inner === undefined) throw new Error(`There is no ${name} to skip`);
  methods[name] = function (...words) {
    return isSkipped() ? undefined : inner.apply(this, words);
  };
}

function plant(bug: Bug): void {
  const storage = Object.getPrototypeOf(systemStorage()) as Storage;
  if (bug === "directories") return skip(storage, "syncDirectory", () => true);
  let isSkipping = bug === "always";
  for (const name of ["sync", "syncData", "syncDataAsync"]) {
    skip(SystemFile.prototype, name, () => isSkipping);
  }
  skip(SystemFileSystem.prototype, "sync", () => isSkipping);
  if (bug === "always") return;
  const { reach } = storage;
  storage.reach = function (point) {
    if (point === bug.from) isSkipping = true;
    if (point === bug.to) isSkipping = false;
    reach.call(this, point);
  };
}

if (import.meta.main) {
  const bug = PLANTED_BUGS[Deno.env.get("POWERCUT_BUG") ?? ""];
  if (bug === undefined) throw new Error("POWERCUT_BUG names no bug");
  plant(bug);
  Deno.exit(await runCommandLine(Deno.args));
}
