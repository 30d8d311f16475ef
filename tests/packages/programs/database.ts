/** A program of a stranger: the database, opened twice. */

import { init, NotFoundError } from "@countd/countd/database";

const [directory] = Deno.args as [string];
const paths = [`${directory}/db.map`, `${directory}/db.log`] as const;
{
  await using database = init(...paths, { sync: "always" });
  await database.write("motd", "good morning");
}
await using again = init(...paths, { create: false });
const missing = await again.read("other").catch((error) => error);
console.log(await again.read("motd"), missing instanceof NotFoundError);
