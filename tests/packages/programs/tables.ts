/** A program of a stranger: tables. */

import { KeyNotFoundError, systemStorage, TableRoot } from "@countd/countd/tables";

const [directory] = Deno.args as [string];
const root = new TableRoot(systemStorage(), directory, { lockTimeoutMs: 1000 });
const motd = root.table("site/motd");

await motd.set("en", new TextEncoder().encode("good morning"));
console.log(new TextDecoder().decode(await motd.get("en")), [...motd.keys()], root.tables());
const missing = await motd.get("de").catch((error) => error);
console.log(missing instanceof KeyNotFoundError);
