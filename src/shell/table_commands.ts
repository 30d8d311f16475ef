/** The commands on tables and keys. */

import { textOfName } from "../base/printable.ts";
import { checkKey, InvalidKeyError, InvalidTableError, KeyNotFoundError } from "../tables/mod.ts";
import { type Answer, done } from "./answer.ts";
import type { Command, Parameter } from "./commands.ts";
import { globMatcher } from "./glob.ts";
import type { Session } from "./session.ts";

const utf8 = new TextEncoder();
/** Rows between two checks for Ctrl-C. */
const ROWS_PER_YIELD = 100;

const key: Parameter = { name: "KEY", kind: "key" };
const value: Parameter = { name: "VALUE", kind: "value" };
const pattern: Parameter = { name: "PATTERN", kind: "pattern", isOptional: true };

function keyText(word: Uint8Array | undefined): string {
  const text = textOfName(word ?? new Uint8Array(0));
  if (text === null) throw new InvalidKeyError("Invalid key: it is not valid UTF-8");
  checkKey(text);
  return text;
}

/** Lists the keys that match a pattern, sorted. A root table that does not exist yet is empty. */
function keysOf(session: Session, word: Uint8Array | undefined): string[] {
  if (session.tableName === "" && !session.hasTables) return [];
  const fits = word === undefined ? () => true : globMatcher(textOfName(word) ?? "");
  return [...session.table.keys().filter(fits)].sort();
}

/** Makes the commands that write. `set` and `create` make missing directories, `update` does not. */
function writing(name: "set" | "create" | "update", summary: string): Command {
  return {
    name,
    parameters: [key, value],
    summary,
    async run(session, [keyWord, bytes]) {
      const text = keyText(keyWord);
      session.prepareToWrite({ makes: name !== "update" });
      await session.table[name](text, bytes as Uint8Array);
      return done;
    },
  };
}

async function* entries(session: Session, names: readonly string[]) {
  for (const [index, name] of names.entries()) {
    if (index % ROWS_PER_YIELD === ROWS_PER_YIELD - 1) await session.yieldToEventLoop();
    try {
      yield [utf8.encode(name), await session.table.get(name)];
    } catch (error) {
      // Removed since the keys were listed.
      if (!(error instanceof KeyNotFoundError)) throw error;
    }
  }
}

export const tableCommands: readonly Command[] = [
  {
    name: "tables",
    parameters: [],
    summary: "list the tables other than the root table",
    run(session): Answer {
      const names = session.hasTables ? session.root.tables().filter((name) => name !== "") : [];
      const rows = names.map((name) => [utf8.encode(name)]);
      return { kind: "rows", listName: "tables", columns: ["table"], rows, fields: {} };
    },
  },
  {
    name: "use",
    parameters: [{ name: "TABLE", kind: "table", isOptional: true }],
    summary: "work in a table, new or existing; without TABLE, in the root table",
    run(session, [table]) {
      const name = textOfName(table ?? new Uint8Array(0));
      if (name === null) throw new InvalidTableError("Invalid table: it is not valid UTF-8");
      session.use(name);
      return done;
    },
  },
  {
    name: "get",
    parameters: [key],
    summary: "show the value of a key",
    async run(session, [word]): Promise<Answer> {
      const text = keyText(word);
      const found = await session.table.get(text);
      return { kind: "value", name: "value", value: found, fields: { key: utf8.encode(text) } };
    },
  },
  writing("set", "set the value of a key, new or existing"),
  writing("create", "set the value of a new key"),
  writing("update", "replace the value of an existing key"),
  {
    name: "delete",
    parameters: [key],
    summary: "remove a key",
    aliases: ["del"],
    async run(session, [word]) {
      const text = keyText(word);
      session.prepareToWrite({ makes: false });
      await session.table.delete(text);
      return done;
    },
  },
  {
    name: "keys",
    parameters: [pattern],
    summary: "list the keys that match a pattern such as job-*",
    run(session, [word]): Answer {
      const rows = keysOf(session, word).map((name) => [utf8.encode(name)]);
      return { kind: "rows", listName: "keys", columns: ["key"], rows, fields: {} };
    },
  },
  {
    name: "each",
    parameters: [pattern],
    summary: "list keys and their values",
    run(session, [word]): Answer {
      const rows = entries(session, keysOf(session, word));
      return { kind: "rows", listName: "entries", columns: ["key", "value"], rows, fields: {} };
    },
  },
];
