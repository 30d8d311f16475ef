/** Rules between files: which file imports which, through which door, and that everything is used. */

import { allows, type House, importedPath, roomOf } from "./house.ts";
import type { SourceFile } from "./source.ts";

export type Sources = ReadonlyMap<string, SourceFile>;

/**
 * Packages, and the rooms that may import them. A program that links countd alone imports the libraries,
 * so they take no `@std` name: such a name leads into `src/std/` by the configuration of the root alone.
 */
const PACKAGES: readonly (readonly [names: RegExp, rooms: RegExp])[] = [
  [/^node:/, /^(?:src|ffi)\//],
  [/^string-width$/, /^src\/shell\//],
  [/^deno-std\/assert\/mod\.js$/, /^src\/std\/assert\//],
  [/^deno-std\/cli\/parse_args\.js$/, /^src\/std\/cli\//],
];

/** Permissions of the map that no import uses. */
export function unusedPermissions(sources: Sources, house: House): string[] {
  const used = new Set<string>();
  for (const source of sources.values()) {
    if (!/^(?:src|ffi)\/|^main\.ts$/.test(source.path)) continue;
    const room = roomOf(house, source.path);
    for (const { target } of source.imports) {
      const other = target === null ? undefined : roomOf(house, target);
      if (room === undefined || other === undefined) continue;
      const path = importedPath(room, other);
      used.add(`${room.path} ${path}`);
      if (room.wing !== undefined) used.add(`${room.wing} ${path}`);
    }
  }
  return [...house.values()].flatMap(({ path, mayImport }) =>
    [...mayImport].filter((other) => !used.has(`${path} ${other}`))
      .map((other) => `The map lets ${path} import ${other}, and no file does`)
  );
}

/** An import that the table of rooms does not allow, type imports included. */
export function forbiddenImports(sources: Sources, house: House): string[] {
  const problems: string[] = [];
  for (const source of sources.values()) {
    if (!/^(?:src|ffi)\/|^main\.ts$/.test(source.path)) continue;
    const isStandIn = source.path.startsWith("src/std/");
    const room = roomOf(house, source.path);
    if (room === undefined && !isStandIn) {
      problems.push(`${source.path} lies in no room of the map`);
      continue;
    }
    for (const { specifier, target, line } of source.imports) {
      const where = `${source.path}:${line}`;
      if (target === null) {
        const isAllowed = PACKAGES.some(([names, rooms]) =>
          names.test(specifier) && rooms.test(source.path)
        );
        if (!isAllowed) problems.push(`${where} imports ${specifier}`);
        continue;
      }
      if (room === undefined) continue;
      const other = roomOf(house, target);
      if (other === undefined) problems.push(`${where} imports ${target}, which lies in no room`);
      else if (!allows(room, other)) {
        const path = importedPath(room, other);
        problems.push(`${where} imports ${target}: ${room.path} may not import ${path}`);
      }
    }
  }
  return problems;
}

/** An import of another room past its `mod.ts`. A room without one is open. */
export function importsPastTheDoor(sources: Sources, house: House): string[] {
  const problems: string[] = [];
  for (const source of sources.values()) {
    if (!/^(?:src|ffi)\/|^main\.ts$/.test(source.path)) continue;
    const room = roomOf(house, source.path);
    for (const { target, line } of source.imports) {
      const other = target === null ? undefined : roomOf(house, target);
      if (other === undefined || other === room) continue;
      const door = `${other.path}/mod.ts`;
      if (sources.has(door) && target !== door && other.path !== target) {
        problems.push(`${source.path}:${line} imports ${target} past ${door}`);
      }
    }
  }
  return problems;
}

/** An import of a file that does not exist. */
export function missingImports(sources: Sources): string[] {
  return [...sources.values()].flatMap((source) =>
    source.imports
      .filter(({ target }) => target !== null && target.endsWith(".ts") && !sources.has(target))
      .map(({ target, line }) => `${source.path}:${line} imports ${target}, which is not there`)
  );
}

/**
 * Files that import each other in a ring; each ring once. Among sources type imports count. In tests they
 * do not, because the doubles of disk and process refer to each other.
 */
export function cycles(sources: Sources): string[] {
  const problems: string[] = [];
  const finished = new Set<string>();
  const path: string[] = [];
  const visit = (file: string) => {
    const at = path.indexOf(file);
    if (at >= 0) problems.push(`${[...path.slice(at), file].join(" → ")} is a ring of imports`);
    if (at >= 0 || finished.has(file)) return;
    path.push(file);
    for (const { target, isOfTypes } of sources.get(file)?.imports ?? []) {
      if (target !== null && !(isOfTypes && file.startsWith("tests/"))) visit(target);
    }
    path.pop();
    finished.add(file);
  };
  for (const file of sources.keys()) visit(file);
  return problems;
}

/**
 * Files that nothing reaches from the entries: `main.ts`, the tests, and what `deno.json` files name.
 * A file is reached by an import, or as a path in a string (a worker, a spawned script).
 */
export function deadFiles(sources: Sources, entries: readonly string[]): string[] {
  const reached = new Set<string>();
  const waiting = entries.filter((entry) => sources.has(entry));
  while (waiting.length > 0) {
    const file = waiting.pop() as string;
    if (reached.has(file)) continue;
    reached.add(file);
    const source = sources.get(file);
    for (const { target } of source?.imports ?? []) if (target !== null) waiting.push(target);
    waiting.push(...source?.mentions ?? []);
  }
  return [...sources.keys()].filter((file) => !reached.has(file))
    .map((file) => `${file} is imported by nothing`);
}

/** Sources that only tests reach: code without a user. */
export function sourcesForTestsAlone(sources: Sources, entries: readonly string[]): string[] {
  const product = new Map([...sources].filter(([path]) => !path.startsWith("tests/")));
  return deadFiles(product, entries.filter((entry) => !entry.startsWith("tests/")))
    .map((problem) => `${problem} but tests`);
}

/**
 * Exported values that no other file imports and that their own file does not use either. A value that a
 * door exports is used if a file imports it from the door. Layouts are exempt: the README test reads them.
 */
export function deadExports(sources: Sources): string[] {
  const taken = new Set<string>();
  const take = (file: string, name: string) => {
    if (taken.has(`${file} ${name}`)) return;
    taken.add(`${file} ${name}`);
    const passedOn = sources.get(file)?.exports.find((one) => one.name === name)?.from;
    if (passedOn) take(passedOn.target, passedOn.name);
  };
  for (const { imports } of sources.values()) {
    for (const { target, names } of imports) {
      if (target === null) continue;
      const all = sources.get(target)?.exports.map(({ name }) => name) ?? [];
      for (const name of names ?? all) take(target, name);
    }
  }
  const dead: string[] = [];
  for (const { path, exports, identifiers } of sources.values()) {
    if (path.startsWith("src/std/")) continue;
    for (const { name, from, line } of exports) {
      if (from !== null || name.endsWith("Layout") || taken.has(`${path} ${name}`)) continue;
      if ((identifiers.get(name) ?? 0) < 2) {
        dead.push(`${path}:${line} ${name} is not used by any file`);
      }
    }
  }
  return dead;
}
