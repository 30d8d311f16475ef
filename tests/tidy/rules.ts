/** Rules for each file on its own. A rule returns one sentence for each problem. */

import type { SourceFile } from "./source.ts";

export type Rule = (source: SourceFile) => string[];

const LINES_MAX = 400;

/** Rooms that own a format: the disk reaches them as an argument. */
const NOUN_ROOMS =
  /^src\/(?:aof|tables|database(?!\/http)|counters\/(?:wire|commitlog|tree|keyspace))\//;

const FILE_NAMES = [
  "chmod|chown|copyFile|create|link|lstat|lutime|makeTempDir|makeTempFile|mkdir|open",
  "readDir|readFile|readLink|readTextFile|realPath|remove|rename|stat|symlink|truncate",
  "umask|utime|watchFs|writeFile|writeTextFile",
].join("|");
const FILE_API = new RegExp(`^Deno\\.(?:${FILE_NAMES})(?:Sync)?$`);

/** Names that say nothing about what a file owns. */
const DRAWERS = /^(?:utils?|helpers?|common|misc|types|shared|lib)(?:\.ts)?$/;

function inSources(source: SourceFile): boolean {
  return /^(?:src|ffi)\/|^main\.ts$/.test(source.path) && !source.path.startsWith("src/std/");
}

function isTest(source: SourceFile): boolean {
  return source.path.startsWith("tests/");
}

function places(
  source: SourceFile,
  uses: readonly { name: string; line: number }[],
  name: RegExp,
  message: string,
): string[] {
  return uses.filter((use) => name.test(use.name))
    .map((use) => `${source.path}:${use.line} ${use.name}: ${message}`);
}

function comments(source: SourceFile, words: RegExp, message: string): string[] {
  return source.comments.filter((comment) => words.test(comment.text))
    .map((comment) =>
      `${source.path}:${comment.line} ${message}: "${words.exec(comment.text)?.[0]}"`
    );
}

export const rules: Readonly<Record<string, Rule>> = {
  "Foreign functions stay in ffi/": (source) =>
    source.path.startsWith("ffi/")
      ? []
      : places(source, source.uses, /^Deno\.dlopen$/, "only ffi/ opens a library"),

  "Pointers stay in ffi/ and src/file/": (source) =>
    /^(?:ffi|src\/file|tests\/(?:ffi|file))\//.test(source.path) ? [] : places(
      source,
      source.uses,
      /^Deno\.Unsafe\w+$/,
      "pointers belong into ffi/ and src/file/",
    ),

  "Nouns reach the disk by the storage they are given": (source) => {
    if (!NOUN_ROOMS.test(source.path)) return [];
    return [
      ...places(source, source.uses, FILE_API, "the disk reaches a noun as a Storage"),
      ...source.imports.filter(({ specifier }) => /^node:fs\b|^@std\/fs\b/.test(specifier))
        .map(({ specifier, line }) =>
          `${source.path}:${line} ${specifier}: the disk reaches a noun as a Storage`
        ),
    ];
  },

  "Time comes from src/base/clock.ts": (source) =>
    !inSources(source) || source.path === "src/base/clock.ts" ? [] : [
      ...places(source, source.uses, /^(?:Date|performance)\.now$/, "time comes from the clock"),
      ...source.calls.filter(({ callee, args }) => callee === "new Date" && args.length === 0)
        .map(({ line }) => `${source.path}:${line} new Date(): time comes from the clock`),
    ],

  "Chance has a seed": (source) =>
    places(source, source.uses, /^Math\.random$/, "tests repeat a run by its seed"),

  "Only the command line speaks to the terminal": (source) =>
    inSources(source) && !source.path.startsWith("src/cli/") && source.path !== "main.ts"
      ? places(source, source.uses, /^console\./, "report by events, or return it")
      : [],

  "Only countd itself is ever spawned": (source) =>
    !inSources(source) ? [] : [
      ...source.calls.filter(({ callee, args }) =>
        callee === "new Deno.Command" && args[0] !== "Deno.execPath()"
      ).map(({ args, line }) =>
        `${source.path}:${line} new Deno.Command(${args[0] ?? ""}): only Deno.execPath() is spawned`
      ),
      ...places(source, source.uses, /^Deno\.(?:run|spawn\w*)$/, "only Deno.execPath() is spawned"),
      ...source.imports.filter(({ specifier }) => specifier === "node:child_process")
        .map(({ line }) => `${source.path}:${line} node:child_process: use new Deno.Command`),
    ],

  "The compiler is not silenced": (source) => [
    ...source.castsToAny.map(({ line }) =>
      `${source.path}:${line} as any: name the type, or use unknown`
    ),
    ...comments(source, /@ts-(?:ignore|nocheck|expect-error)\b/, "the compiler is silenced"),
    ...source.comments.filter(({ text }) =>
      /deno-(?:lint|coverage)-ignore|deno-fmt-ignore-file/.test(text) && !/ -- \S/.test(text)
    ).map(({ line }) => `${source.path}:${line} a rule is silenced without " -- reason"`),
  ],

  "Nothing is left for later": (source) =>
    comments(
      source,
      /\b(?:TODO|FIXME|XXX|HACK|TBD)\b|\b(?:quick fix|not (?:yet )?implemented)\b/i,
      "left over",
    ),

  "Comments speak of countd, not of one machine": (source) =>
    comments(source, /(?<![\w.~-])\/(?:root|home|Users|work)\/\w+/, "a path of one machine"),

  "Every test runs": (source) =>
    !isTest(source) ? [] : [
      ...places(source, source.uses, /^Deno\.(?:test|bench)\.(?:ignore|only)$/, "every test runs"),
      ...source.calls.filter(({ callee, args }) =>
        /^(?:Deno\.test|\w+\.step)$/.test(callee) &&
        args.some((argument) => /^\{[^]*?\b(?:ignore|only)\s*:/.test(argument))
      ).map(({ line }) => `${source.path}:${line} every test runs: no ignore, no only`),
    ],

  "A file fits one sitting": (source) =>
    source.lineCount <= LINES_MAX
      ? []
      : [`${source.path} has ${source.lineCount} lines: which two things live in it?`],

  "One house style: UPPER_CASE, #private, isX, while (true)": (source) =>
    inSources(source)
      ? source.styleBreaks.map(({ name, line }) => `${source.path}:${line} ${name}`)
      : [],

  "Exports have names": (source) =>
    source.hasDefaultExport ? [`${source.path} has a default export`] : [],

  "Files are named for what they own": (source) => {
    const parts = source.path.split("/");
    const bad = parts.find((part) =>
      DRAWERS.test(part) || !/^[a-z0-9_]+(?:(?:\.d)?\.ts)?$/.test(part)
    );
    return bad === undefined
      ? []
      : [`${source.path}: "${bad}" is not a snake_case name of a thing`];
  },
};
