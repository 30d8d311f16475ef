/** `countd kv …`: one operation on the tables of a data directory. */

import { NotFoundError } from "../../base/errors.ts";
import { nameField, toJson } from "../../base/printable.ts";
import type { Table, TableRoot } from "../../tables/mod.ts";
import { nameArgument, textArgument } from "../kit/argument.ts";
import { text } from "../kit/option.ts";
import { StreamError } from "../stream_error.ts";
import { dataOption, lockTimeoutOption } from "../options.ts";
import { type Context, defineVerb, examplesOf, type Verb, type VerbGroup } from "../verb.ts";

const dataOptions = { data: dataOption } as const;
const tableOptions = {
  ...dataOptions,
  table: text({
    summary: "the table; a nested one as OUTER/INNER",
    placeholder: "NAME",
    default: "",
    defaultText: "the root table",
    fromEnvironment: false,
  }),
} as const;

/** For verbs that wait for the lock of another process; the other verbs never wait. */
const lockingOptions = { ...tableOptions, lockTimeout: lockTimeoutOption } as const;

const keyArgument = textArgument("the key: up to 242 bytes of UTF-8, without slash and NUL");
const valueArgument = nameArgument("the value, byte for byte; - reads it from stdin");

/** The part of the context that the functions below need. */
type DataContext = Pick<Context<typeof dataOptions>, "options" | "storage" | "clock">;
type TableContext = Pick<Context<typeof tableOptions>, "options" | "storage" | "clock">;

async function openRoot(
  { options, storage, clock }: DataContext & { readonly options: { lockTimeout?: number } },
): Promise<TableRoot> {
  const { TableRoot } = await import("../../tables/mod.ts");
  const { directoryPaths } = await import("../../counters/commitlog/mod.ts");
  const { requireDirectory } = await import("../../file/mod.ts");
  // An error about the table in it would name a path that was not given.
  requireDirectory(storage, options.data);
  const { tables } = directoryPaths(options.data);
  const { lockTimeout = lockTimeoutOption.default } = options;
  return new TableRoot(storage, tables, { lockTimeoutMs: lockTimeout, clock });
}

async function openTable(context: TableContext): Promise<Table> {
  return (await openRoot(context)).table(context.options.table);
}

/** Opens a table to write to it. If it `makes` keys, a data directory that is missing is made. */
async function openTableToWrite(context: TableContext, makes: boolean): Promise<Table> {
  const { prepareToWrite } = await import("../prepare_to_write.ts");
  const table = await openTable(context);
  prepareToWrite(context.storage, context.options.data, { makes });
  return table;
}

/** True if the data directory has tables. Without tables, its root table is empty. */
function hasTables({ options, storage }: DataContext, root: TableRoot): boolean {
  if (storage.statusOrNull(options.data)?.kind !== "directory") {
    throw new NotFoundError(`No data directory at ${options.data}: countd kv set makes one`);
  }
  return storage.statusOrNull(root.path) !== null;
}

/** Lists the keys, sorted, so that two lists can be compared. */
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

function printNames(names: readonly string[], { stdout }: Pick<Context, "stdout">): void {
  for (const name of names) stdout.row(utf8.encode(name));
}

const get = defineVerb({
  name: "get",
  summary: "print the value of a key",
  details: [
    "Writes exactly the bytes of the value to a pipe or a file. On a terminal, bytes that could " +
    "harm it are escaped, and a line end follows.",
  ],
  positionals: { key: keyArgument },
  options: lockingOptions,
  answersJson: true,
  examples: examplesOf({
    "countd kv get motd": "print the value of motd in the root table",
    "countd kv get logo.png --table site/images > logo.png": "save binary data",
  }),
  async run(context) {
    const { stdout, positionals, options } = context;
    const table = await openTable(context);
    const { key } = positionals;
    const value = await table.get(key);
    if (context.json) stdout.json({ table: options.table, key, ...nameField("value", value) });
    else stdout.name(value);
    if (!context.json && stdout.isTerminal) stdout.write("\n");
  },
});

/** Makes `set`, `create` and `update`, which differ in whether the key must exist. */
function writingVerb(
  name: "set" | "create" | "update",
  words: Pick<Verb, "summary" | "examples"> & { readonly makes: boolean },
): Verb {
  return defineVerb({
    name,
    summary: words.summary,
    details: ["When it returns, the value is on disk. Prints nothing without --json."],
    positionals: { key: keyArgument, value: valueArgument },
    options: name === "create" ? tableOptions : lockingOptions,
    answersJson: true,
    examples: words.examples,
    async run(context) {
      const { positionals, options, stdout, json } = context;
      const { key } = positionals;
      const value = await valueBytes(positionals.value, context);
      // A bad name is refused before anything is made.
      const { checkKey } = await import("../../tables/mod.ts");
      checkKey(key);
      const table = await openTableToWrite(context, words.makes);
      await table[name](key, value);
      if (json) stdout.json({ table: options.table, key });
    },
  });
}

const set = writingVerb("set", {
  summary: "set the value of a key, new or existing",
  makes: true,
  examples: examplesOf({
    "countd kv set motd 'hello there'": "set a text",
    "countd kv set logo.png - --table site < logo.png": "read the value from stdin",
  }),
});

const create = writingVerb("create", {
  summary: "set the value of a new key; exits 1 if the key exists",
  makes: true,
  examples: examplesOf({
    "countd kv create leader $(hostname)": "succeed only for the first caller",
    "countd kv create -- --odd-key value": "end the options with --",
  }),
});

const update = writingVerb("update", {
  summary: "replace the value of an existing key; exits 3 if it does not exist",
  makes: false,
  examples: examplesOf({
    "countd kv update motd 'good night'": "replace a value, but never make a key",
    "date | countd kv update last-run - --table jobs": "read the value from stdin",
  }),
});

const remove = defineVerb({
  name: "delete",
  summary: "remove a key; succeeds also if it does not exist",
  positionals: { key: keyArgument },
  options: lockingOptions,
  answersJson: true,
  examples: examplesOf({
    "countd kv delete motd": "remove motd durably, even against a power cut",
    "countd kv delete job-7 --table jobs --lock-timeout 30s": "wait longer for a lock",
  }),
  async run(context) {
    const { positionals, options, stdout, json } = context;
    const table = await openTableToWrite(context, false);
    const { key } = positionals;
    await table.delete(key);
    if (json) stdout.json({ table: options.table, key });
  },
});

const keys = defineVerb({
  name: "keys",
  summary: "print the keys of one table, one a line, sorted",
  options: tableOptions,
  answersJson: true,
  examples: examplesOf({
    "countd kv keys": "list the keys of the root table",
    "countd kv keys --table site/images --json": "list keys with any characters, as JSON",
  }),
  async run(context) {
    const found = await listedKeys(context);
    if (context.json) context.stdout.json({ table: context.options.table, keys: found });
    else printNames(found, context);
  },
});

const tables = defineVerb({
  name: "tables",
  summary: "print the tables other than the root table, one a line, sorted",
  options: dataOptions,
  answersJson: true,
  examples: examplesOf({
    "countd kv tables": "list the names for --table",
    "countd kv tables --data /var/lib/countd/main --json": "list them as JSON",
  }),
  async run(context) {
    const root = await openRoot(context);
    const found = hasTables(context, root) ? root.tables().filter((name) => name !== "") : [];
    if (context.json) context.stdout.json({ tables: found });
    else printNames(found, context);
  },
});

const each = defineVerb({
  name: "each",
  summary: "print every key of one table and its value, separated by a tab, one a line",
  details: [
    "Each value is read under its own lock; a key that is removed before its turn is left out. Use " +
    "--json if values contain line ends or tabs.",
  ],
  options: lockingOptions,
  answersJson: true,
  examples: examplesOf({
    "countd kv each --table jobs": "print a whole table",
    "countd kv each --json | jq '.entries[].key'": "extract the keys",
  }),
  async run(context) {
    const { stdout, options, json } = context;
    const root = await openRoot(context);
    const isEmpty = !hasTables(context, root) && options.table === "";
    // Written only when the last value has been read, so that an error leaves no partial object.
    const entries: string[] = [];
    for await (const { key, value } of isEmpty ? [] : root.table(options.table).entries()) {
      if (json) entries.push(toJson({ key, ...nameField("value", value) }));
      else stdout.row(utf8.encode(key), value);
    }
    if (json) {
      stdout.write(`{"table":${toJson(options.table)},"entries":[`);
      for (const [index, entry] of entries.entries()) stdout.write((index > 0 ? "," : "") + entry);
      stdout.line("]}");
    }
  },
});

export const kv: VerbGroup = {
  name: "kv",
  summary: "keep values under keys in tables",
  details: [
    "Keys are files and tables are directories below DATA/tables, locked with flock(2), so flockd " +
    "and other programs can share them. Exits 1 if a key exists already, 2 if a name is not " +
    "allowed, 3 if nothing is found, 75 if a lock is not released in time.",
  ],
  verbs: [get, set, create, update, remove, keys, tables, each],
};
