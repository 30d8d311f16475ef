/**
 * Runs the benchmarks of this directory one after the other, each in a process of its own, so that none
 * pays for the memory of another: `deno task bench [NAME…]`, such as `deno task bench aof`.
 */

const directory = decodeURIComponent(new URL(".", import.meta.url).pathname);
const suffix = "_bench.ts";

const found = [...Deno.readDirSync(directory)]
  .filter(({ name }) => name.endsWith(suffix))
  .map(({ name }) => name.slice(0, -suffix.length))
  .sort();
const unknown = Deno.args.find((name) => !found.includes(name));
if (unknown !== undefined) {
  console.error(`No benchmark is called ${unknown}; there are ${found.join(", ")}`);
  Deno.exit(2);
}
let failed = false;
for (const name of Deno.args.length > 0 ? Deno.args : found) {
  console.log(`\n${name}`);
  const { success } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", `${directory}${name}${suffix}`],
    stdin: "null",
    stdout: "inherit",
    stderr: "inherit",
  }).output();
  failed ||= !success;
}
Deno.exit(failed ? 1 : 0);
