/** `countd kv …`: one call on the tables of a data directory. */

import { NotFoundError } from "../../base/errors.ts";
import { nameField, nameForOutput, toJson } from "../../base/printable.ts";
import type { Table, TableRoot } from "../../tables/mod.ts";
import { EXIT_CODES, type ExitCode } from "../exit_codes.ts";
import { nameArgument } from "../kit/argument.ts";
import { text } from "../kit/option.ts";
import { StreamError } from "../stream_error.ts";
import { dataOption, lockTimeoutOption } from "../options.ts";
import { type Context, defineVerb, type Verb, type VerbGroup } from "../verb.ts";

const dataOptions = { data: dataOption } as const;
const tableOptions = {
  ...dataOptions,
  table: text({
    summary: "the table; a table below others as OUTER/INNER",
    placeholder: "NAME",
    default: "",
    defaultText: "the root table",
    fromEnvironment: false,
  }),
} as const;

/** For the calls that wait for somebody's lock; the others never do. */
const lockingOptions = { ...tableOptions, lockTimeout: lockTimeoutOption } as const;

const keyArgument = nameArgument("the key: up to 242 bytes of UTF-8 without slash and NUL");
const valueArgument = nameArgument("the value, byte for byte; - takes it from stdin");

/** What the helpers need of any kv verb's context. */
type DataContext = Pick<Context<typeof dataOptions>, "options" | "storage" | "clock">;
type TableContext = Pick<Context<typeof tableOptions>, "options" | "storage" | "clock">;

async function openRoot(
  { options, storage, clock }: DataContext & { readonly options: { lockTimeout?: number } },
): Promise<TableRoot> {
  const { TableRoot } = await import("../../tables/mod.ts");
  const { directoryPaths } = await import("../../counters/commitlog/mod.ts");
  const { requireDirectory } = await import("../../file/mod.ts");
  // The table in it would tell of a path that nobody named.
  requireDirectory(storage, options.data);
  const { tables } = directoryPaths(options.data);
  const { lockTimeout = lockTimeoutOption.default } = options;
  return new TableRoot(storage, tables, { lockTimeoutMs: lockTimeout, clock });
}

async function openTable(context: TableContext): Promise<Table> {
  return (await openRoot(context)).table(context.options.table);
}

/** A table to make keys in: the data directory is made where it is missing. */
async function openTableToMake(context: TableContext): Promise<Table> {
  const { DataDirectory, describeSelf, directoryPaths } = await import(
    "../../counters/commitlog/mod.ts"
  );
  const { options, storage } = context;
  const table = await openTable(context);
  if (storage.statusOrNull(directoryPaths(options.data).control) === null) {
    DataDirectory.openOrCreate(storage, options.data, { self: describeSelf(storage) }).close();
  }
  return table;
}

/** True where there is a table to list. A data directory without tables has an empty root table. */
function hasTables({ options, storage }: DataContext, root: TableRoot): boolean {
  if (storage.statusOrNull(options.data)?.kind !== "directory") {
    throw new NotFoundError(`No data directory at ${options.data}: countd kv set makes one`);
  }
  return storage.statusOrNull(root.path) !== null;
}

/** Names that are listed: sorted, so that two listings can be compared. */
async function listedKeys(context: TableContext): Promise<string[]> {
  const root = await openRoot(context);
  if (!hasTables(context, root) && context.options.table === "") return [];
  return [...root.table(context.options.table).keys()].sort();
}

async function valueBytes(value: Uint8Array, { stdin }: Pick<Context, "stdin">) {
  const isDash = value.length === 1 && value[0] === "-".charCodeAt(0);
  if (!isDash) return value;
  return await new Response(stdin.readable).bytes().catch((cause) => {
    throw new StreamError("read stdin", cause);
  });
}

const utf8 = new TextEncoder();
/** Words of the command line are UTF-8 always: the runtime lets nothing else in. */
const utf8Text = new TextDecoder("utf-8", { ignoreBOM: true });

function printNames(names: readonly string[], { stdout }: Pick<Context, "stdout">): ExitCode {
  for (const name of names) {
    stdout.name(utf8.encode(name));
    stdout.write("\n");
  }
  return EXIT_CODES.ok;
}

const get = defineVerb({
  name: "get",
  summary: "print the value of a key",
  details: [
    "To a pipe or a file go the bytes of the value and nothing else; a terminal gets them in a form " +
    "that cannot harm it, and a line end.",
  ],
  positionals: { key: keyArgument },
  options: lockingOptions,
  answersJson: true,
  examples: [
    { command: "countd kv get motd", meaning: "the value of motd in the root table" },
    { command: "countd kv get logo.png --table site/images > logo.png", meaning: "any bytes" },
  ],
  async run(context) {
    const { stdout, positionals, options } = context;
    const table = await openTable(context);
    const key = utf8Text.decode(positionals.key);
    const value = await table.get(key);
    if (context.json) stdout.json({ table: options.table, key, ...nameField("value", value) });
    else stdout.write(nameForOutput(value, stdout.isTerminal));
    if (!context.json && stdout.isTerminal) stdout.write("\n");
    return EXIT_CODES.ok;
  },
});

/** `set`, `create` and `update` differ in what they demand of the key. */
function writingVerb(
  name: "set" | "create" | "update",
  words: Pick<Verb, "summary" | "examples"> & { readonly makes: boolean },
): Verb {
  return defineVerb({
    name,
    summary: words.summary,
    details: ["When it returns, the value is on the disk. Prints nothing without --json."],
    positionals: { key: keyArgument, value: valueArgument },
    options: name === "create" ? tableOptions : lockingOptions,
    answersJson: true,
    examples: words.examples,
    async run(context) {
      const { positionals, options, stdout, json } = context;
      const key = utf8Text.decode(positionals.key);
      const value = await valueBytes(positionals.value, context);
      // Names are refused before anything is made.
      const { checkKey } = await import("../../tables/mod.ts");
      checkKey(key);
      const table = words.makes ? await openTableToMake(context) : await openTable(context);
      await table[name](key, value);
      if (json) stdout.json({ table: options.table, key });
      return EXIT_CODES.ok;
    },
  });
}

const set = writingVerb("set", {
  summary: "give a key a value, whether it has one or not",
  makes: true,
  examples: [
    { command: "countd kv set motd 'hello there'", meaning: "a value from the command line" },
    { command: "countd kv set logo.png - --table site < logo.png", meaning: "from stdin" },
  ],
});

const create = writingVerb("create", {
  summary: "give a new key its value; exits 1 where the key exists",
  makes: true,
  examples: [
    { command: "countd kv create leader $(hostname)", meaning: "only the first one succeeds" },
    { command: "countd kv create -- --odd-key value", meaning: "-- ends the options" },
  ],
});

const update = writingVerb("update", {
  summary: "replace the value of an existing key; exits 3 where there is none",
  makes: false,
  examples: [
    { command: "countd kv update motd 'good night'", meaning: "never makes a new key" },
    { command: "date | countd kv update last-run - --table jobs", meaning: "from stdin" },
  ],
});

const remove = defineVerb({
  name: "delete",
  summary: "remove a key; a key that is not there is removed already",
  positionals: { key: keyArgument },
  options: lockingOptions,
  answersJson: true,
  examples: [
    { command: "countd kv delete motd", meaning: "gone when it returns, also after a power cut" },
    { command: "countd kv delete job-7 --table jobs --lock-timeout 30s", meaning: "wait longer" },
  ],
  async run(context) {
    const { positionals, options, stdout, json } = context;
    const table = await openTable(context);
    const key = utf8Text.decode(positionals.key);
    await table.delete(key);
    if (json) stdout.json({ table: options.table, key });
    return EXIT_CODES.ok;
  },
});

const keys = defineVerb({
  name: "keys",
  summary: "print the keys of one table, one a line, sorted",
  positionals: {},
  options: tableOptions,
  answersJson: true,
  examples: [
    { command: "countd kv keys", meaning: "the keys of the root table" },
    { command: "countd kv keys --table site/images --json", meaning: "keys with any letters" },
  ],
  async run(context) {
    const found = await listedKeys(context);
    if (!context.json) return printNames(found, context);
    context.stdout.json({ table: context.options.table, keys: found });
    return EXIT_CODES.ok;
  },
});

const tables = defineVerb({
  name: "tables",
  summary: "print the tables besides the root table, one a line, sorted",
  positionals: {},
  options: dataOptions,
  answersJson: true,
  examples: [
    { command: "countd kv tables", meaning: "what can be given to --table" },
    { command: "countd kv tables --data /var/lib/countd/main --json", meaning: "for a program" },
  ],
  async run(context) {
    const root = await openRoot(context);
    const found = hasTables(context, root) ? root.tables().filter((name) => name !== "") : [];
    if (!context.json) return printNames(found, context);
    context.stdout.json({ tables: found });
    return EXIT_CODES.ok;
  },
});

const each = defineVerb({
  name: "each",
  summary: "print every key of one table and its value, a tab between, one a line",
  details: [
    "Each value is read under its own lock; keys that go meanwhile are left out. Values with line " +
    "ends or tabs are told apart with --json.",
  ],
  positionals: {},
  options: lockingOptions,
  answersJson: true,
  examples: [
    { command: "countd kv each --table jobs", meaning: "all of a table" },
    { command: "countd kv each --json | jq '.entries[].key'", meaning: "for a program" },
  ],
  async run(context) {
    const { stdout, options, json } = context;
    const root = await openRoot(context);
    const isEmpty = !hasTables(context, root) && options.table === "";
    // One JSON object or one JSON error: nothing is written before the last value has been read.
    const entries: string[] = [];
    for await (const { key, value } of isEmpty ? [] : root.table(options.table).entries()) {
      if (json) entries.push(toJson({ key, ...nameField("value", value) }));
      else {
        stdout.name(utf8.encode(key));
        stdout.write("\t");
        stdout.write(nameForOutput(value, stdout.isTerminal));
        stdout.write("\n");
      }
    }
    if (json) {
      stdout.write(`{"table":${toJson(options.table)},"entries":[`);
      for (const [index, entry] of entries.entries()) stdout.write((index > 0 ? "," : "") + entry);
      stdout.line("]}");
    }
    return EXIT_CODES.ok;
  },
});

export const kv: VerbGroup = {
  name: "kv",
  summary: "keep values under keys in tables",
  details: [
    "Keys are files and tables are directories below DATA/tables, locked with flock(2), so flockd " +
    "and other programs can share them. Exits 1 where a key exists already, 2 for a name that is " +
    "not allowed, 3 where nothing is found, 75 where a lock is not given up in time.",
  ],
  verbs: [get, set, create, update, remove, keys, tables, each],
};
