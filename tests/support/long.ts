/**
 * `deno task long`: every test that has a full count, with it. Test files that read `COUNTD_TEST_LONG` run
 * in processes of their own, two at a time; the output of a process is printed when it ends. Prints the sums
 * at the end, and exits with 1 if a test failed.
 */

const directory = decodeURIComponent(new URL("..", import.meta.url).pathname);
const variable = "COUNTD_TEST_LONG";
const atOnce = 2;

/** Test files that read the variable, those that take longest first. */
function filesWithFullCounts(): string[] {
  const found: string[] = [];
  const look = (path: string) => {
    for (const { name, isDirectory } of Deno.readDirSync(path)) {
      if (isDirectory) look(`${path}${name}/`);
      else if (name.endsWith("_test.ts")) {
        const file = `${path}${name}`;
        if (Deno.readTextFileSync(file).includes(variable)) found.push(file);
      }
    }
  };
  look(directory);
  const rooms = [
    "crash/kill",
    "crash/keyspace",
    "tables",
    "aof",
    "crash",
    "counters/tree",
    "database",
  ];
  const weight = (file: string) => {
    const index = rooms.findIndex((room) => file.startsWith(`${directory}${room}`));
    return index === -1 ? rooms.length : index;
  };
  return found.sort((left, right) => weight(left) - weight(right) || (left < right ? -1 : 1));
}

async function run(file: string): Promise<boolean> {
  const start = performance.now();
  const { success, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["test", "-A", file],
    env: { [variable]: "1" },
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  }).output();
  await Deno.stdout.write(stdout);
  await Deno.stderr.write(stderr);
  const seconds = Math.round((performance.now() - start) / 1000);
  console.log(
    `${file.slice(directory.length)}: ${success ? "full count" : "FAILED"}, ${seconds} s\n`,
  );
  return success;
}

const files = filesWithFullCounts();
const failed: string[] = [];
const runNext = async () => {
  for (let file = files.shift(); file !== undefined; file = files.shift()) {
    if (!await run(file)) failed.push(file);
  }
};
await Promise.all(Array.from({ length: atOnce }, runNext));
for (const file of failed) console.log(`failed: ${file.slice(directory.length)}`);
Deno.exit(failed.length === 0 ? 0 : 1);
