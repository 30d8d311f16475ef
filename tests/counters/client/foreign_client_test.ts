import { assertEquals } from "@std/assert";
import { runCountd, runProgram, startCountd } from "../../support/process.ts";
import { withTemporaryDirectory } from "../../support/temporary.ts";
import { assertWholeDirectory } from "../view/check_directory.ts";

async function hasPython(): Promise<boolean> {
  try {
    return (await runProgram(["python3", "--version"])).code === 0;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}

Deno.test("A client in another language writes, is answered WIN, and reads back", async () => {
  if (!(await hasPython())) return console.log("not run: needs python3");
  await withTemporaryDirectory(async (directory) => {
    const data = `${directory}/data`;
    await using writer = startCountd(["write", "--data", data, "--port", "0", "--ack"]);
    const write = await writer.listening();
    await using reader = startCountd(["read", "--data", data, "--port", "0"]);
    const read = await reader.listening();
    const script = new URL("plain_client.py", import.meta.url).pathname;
    const ended = await runProgram(["python3", script, `${write.port}`, `${read.port}`]);
    assertEquals(ended.stderr, "");
    assertEquals(ended.text.trimEnd().split("\n"), [
      "WIN",
      "WINWINWIN",
      "WIN",
      "NAYNAY",
      "(5, 3)",
      "b''",
      "3 3",
      "9007199254740993 256 bytes",
      "47 b'first'",
      "-27 b'second'",
      "True",
      "1 47 5",
    ]);
    assertEquals(await writer.stop(), 0);
    assertEquals(await reader.stop(), 0);
    assertEquals((await runCountd(["worker", "--once", "--data", data])).code, 0);
    assertWholeDirectory(data);
  });
});
