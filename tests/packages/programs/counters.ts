/** A program of a stranger: the embedded engine. */

import { Counters, type CountersOptions, UsageError } from "@countd/countd/counters";

const [directory] = Deno.args as [string];
const options: CountersOptions = { sync: "os", logSize: 65_536 };

await using counters = await Counters.open(directory, options);
await counters.increment("visits", "/about", 2);
await counters.batch([{ keyspace: "visits", key: "/", by: 40n }, { keyspace: "visits", key: "/" }]);
const refused = await counters.increment("", "/").catch((error) => error);
console.log(refused instanceof UsageError);
const before = await counters.top("visits");
await counters.fold();
const after = await counters.top("visits");
console.log(before.map(({ name, value }) => `${name} ${value}`), after.length === before.length);
console.log(await counters.get("visits", "/about"), await counters.rank("visits", "/about"));
