/** A stop of the write port while a peer sends without an end. */

import { assert, assertEquals } from "@std/assert";
import { checkData } from "../support/check_data.ts";
import { startCountd } from "../support/process.ts";
import { withTemporaryDirectory } from "../support/temporary.ts";
import { within } from "../support/wait.ts";
import { increment } from "./plain_messages.ts";

/** Sends a file again and again as fast as it is taken, and reads nothing. Prints a line after the first. */
const SENDER = `
  exec 3>/dev/tcp/127.0.0.1/$1
  cat "$2" >&3
  echo sent
  while cat "$2" >&3; do :; done
  exit 1
`;

Deno.test("A stop ends a peer that only sends at once, and takes no more of it", async () => {
  // Story: for 5 s the server took and dropped what such a peer sent.
  await withTemporaryDirectory(async (directory) => {
    const data = `${directory}/data`;
    const messages = new Uint8Array(520 * 2000);
    for (let at = 0; at < messages.length; at += 520) messages.set(increment("pages", "/", 1n), at);
    Deno.writeFileSync(`${directory}/messages`, messages);
    await using server = startCountd(["write", "--data", data, "--port", "0"]);
    const { port } = await server.listening();
    const sender = new Deno.Command("bash", {
      args: ["-c", SENDER, "sender", String(port), `${directory}/messages`],
      stdin: "null",
      stdout: "piped",
      stderr: "null",
    }).spawn();
    const reader = sender.stdout.getReader();
    const { value } = await within("the first bytes", reader.read());
    assertEquals(new TextDecoder().decode(value), "sent\n");
    const ended = sender.status;
    assertEquals(await within("the stop", server.stop(), { deadlineMs: 4000 }), 0);
    assert(!(await within("the end of the sender", ended)).success);
    await reader.cancel();
    checkData(data);
  });
});
