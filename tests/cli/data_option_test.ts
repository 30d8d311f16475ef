/** `--data` with a path that is not a directory. */
import { assertEquals } from "@std/assert";
import { withTemporaryDirectory } from "../support/temporary.ts";
import { capture } from "./capture.ts";

const verbs: readonly (readonly string[])[] = [
  ["write", "--port", "0"],
  ["worker", "--once"],
  ["read", "--port", "0"],
  ["status"],
  ["check"],
  ["repair"],
  ["top", "pages"],
  ["get", "pages", "a"],
  ["keyspaces"],
  ["kv", "get", "k"],
  ["kv", "set", "k", "v"],
  ["kv", "keys"],
  ["kv", "tables"],
  ["db", "--port", "0"],
];

// Story: write failed because the name "exists already (EEXIST)"; status found nothing and advised to start
// write first; read waited for ever.
Deno.test("A file in place of the data directory, or of a parent, is reported as such", async () => {
  await withTemporaryDirectory(async (directory) => {
    const file = `${directory}/file`;
    Deno.writeTextFileSync(file, "kept");
    for (const verb of verbs) {
      for (const data of [file, `${file}/`, `${file}/below/data`]) {
        const told = await capture([...verb, "--data", data]);
        const message =
          `countd: ${file} is not a directory: name another data directory, or move ` +
          "it away\n";
        assertEquals(told, { code: 1, stdout: "", stderr: message }, `${verb.join(" ")} ${data}`);
      }
    }
    assertEquals(Deno.readTextFileSync(file), "kept");
    assertEquals([...Deno.readDirSync(directory)].map(({ name }) => name), ["file"]);
    const { code, stderr } = await capture(["backup", `${directory}/to`, "--data", file]);
    assertEquals([code, stderr.includes(`${file} is not a directory`)], [1, true]);
  });
});

Deno.test("A data directory that does not exist yet is missing, not wrong", async () => {
  await withTemporaryDirectory(async (directory) => {
    for (const verb of [["status"], ["check"], ["kv", "keys"]]) {
      const { code, stderr } = await capture([...verb, "--data", `${directory}/no/such`]);
      assertEquals([code, stderr.includes("No data directory")], [3, true], verb.join(" "));
    }
  });
});
