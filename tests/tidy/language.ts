/** Checks that every text is plain English: comments, messages, test names, Markdown. */

import type { SourceFile, Text } from "./source.ts";

/** Banned shapes of language, and what replaces them. */
export const BANNED: readonly (readonly [shape: RegExp, advice: string])[] = [
  [/\b(?:he|his|him)\b/i, "a process is `it`"],
  [
    /(?<!\b(?:those|people|users|anyone) )\bwho\b|\b(?:whom|whoever)\b/i,
    "name the process or caller",
  ],
  [/\b(?:somebody|nobody|everybody|anybody)\b/i, "name the process, or write `no process`"],
  [/\bwhere there (?:is|are|was|were) no\b/i, "if there is no"],
  [/(?<!\bthere )\bis no (?!longer\b)/i, "is not a"],
  [/\bstands\b/i, "is"],
  [/\bmeanwhile\b/i, "leave it out, or say when"],
  [/\b(?:lets?|letting) go\b/i, "release"],
  [/\bfor they\b|[,;:] for (?:it|he|she|there|that|this)\b/i, "because"],
];

/** Texts that may have a banned shape: the name of a user, a quotation of another program. */
const EXCEPTIONS: readonly RegExp[] = [
  /USER=nobody|LOGNAME=nobody|\bnobody:/, // the Unix user of that name
];

function problemsOf(path: string, { text, line }: Text): string[] {
  if (EXCEPTIONS.some((exception) => exception.test(text))) return [];
  const problems: string[] = [];
  for (const [shape, advice] of BANNED) {
    for (const match of text.matchAll(new RegExp(shape, "gi"))) {
      const at = line + text.slice(0, match.index).split("\n").length - 1;
      problems.push(`${path}:${at} "${match[0].replace(/\s+/g, " ")}": ${advice}`);
    }
  }
  return problems;
}

/** Banned shapes in comments and in strings, which hold messages, help and test names. */
export function languageOfSource(source: SourceFile): string[] {
  const isAboutLanguage = /^tests\/tidy\/language(?:_test)?\.ts$/.test(source.path);
  if (isAboutLanguage || source.path.startsWith("src/std/")) return [];
  return [...source.comments, ...source.strings].flatMap((text) => problemsOf(source.path, text));
}

/** Banned shapes in the prose of a Markdown file: fenced blocks and code spans are not prose. */
export function languageOfMarkdown(path: string, markdown: string): string[] {
  const blank = (text: string) => text.replace(/[^\n]/g, " ");
  const prose = markdown.replace(/^( *```)[^]*?^\1.*$/gm, blank).replace(/`[^`\n]*`/g, blank);
  return problemsOf(path, { text: prose, line: 1 });
}

/** Test names that begin with a number of a list that is not in the repository. */
export function codedTestNames(source: SourceFile): string[] {
  return source.calls.filter(({ callee, args }) =>
    /^(?:Deno\.test|\w+\.step)$/.test(callee) && /^["'`][A-Z]\d+\b/.test(args[0] ?? "")
  ).map(({ args, line }) => `${source.path}:${line} ${args[0]}: a test name is a sentence`);
}

/** A name in backticks that looks like a file or a symbol of this project. */
const FILE_NAME = /^[\w./*-]*[\w*]\.(?:ts|md|wat|py|sh)$/;
const SYMBOL =
  /^#?(?:[a-z]\w*\.)*(?:[a-z]+[A-Z]\w*|[A-Z][a-z]+[A-Z]\w*|[A-Z]+_[A-Z_\d]+)(?:\(\))?$/;

export interface Names {
  readonly files: ReadonlySet<string>;
  readonly symbols: ReadonlySet<string>;
}

/** Names in backticks, in comments or Markdown, that match no file and no identifier. */
export function danglingNames(path: string, text: Text, { files, symbols }: Names): string[] {
  const problems: string[] = [];
  for (const match of text.text.matchAll(/`([^`\n]+)`/g)) {
    const name = match[1] as string;
    const line = text.line + text.text.slice(0, match.index).split("\n").length - 1;
    if (FILE_NAME.test(name)) {
      const end = name.replace(/^(?:\.\.?\/)+/, "");
      const pattern = new RegExp(
        `(?:^|/)${end.replace(/[.+?^${}()|[\]\\]/g, "\\$&").replaceAll("*", "[^/]*")}$`,
      );
      if (![...files].some((file) => pattern.test(file))) {
        problems.push(`${path}:${line} \`${name}\`: there is no such file`);
      }
    } else if (SYMBOL.test(name)) {
      const last = name.replace("()", "").split(".").at(-1)?.replace("#", "") ?? "";
      if (!symbols.has(last)) problems.push(`${path}:${line} \`${name}\`: there is no such name`);
    }
  }
  return problems;
}
