/** Real processes that SIGKILL ends in the middle of a write. */

import { assert, assertEquals } from "@std/assert";
import { Aof, RecoveryKind } from "../../src/aof/mod.ts";
import { SideFile } from "../../src/aof/tail/side_file.ts";
import { FullCount } from "../support/full_count.ts";
import { Random, seedForTest } from "../support/random.ts";
import { withTemporaryDirectory } from "../support/temporary.ts";
import { waitUntil } from "../support/wait.ts";
import { startChild } from "./start_child.ts";
import { dyingPayload, stream } from "./streams.ts";
import { assertChecks, concat, dataOf, storage, text, withFile } from "./support.ts";

const everyByte = new FullCount("bytes at which a process dies");
const kills = new FullCount("killed writers");

interface Death {
  /** The payload. */
  readonly kind: string;
  readonly reserve: number;
  /** Bytes that were copied when the process died. */
  readonly copied: number;
}

/** Every offset of some payloads. */
function deaths(): Death[] {
  const every: Death[] = [];
  for (const kind of ["text", "tail", "checkpoint"]) {
    for (const reserve of [1, 3, 8, 24, 50]) {
      for (let copied = 0; copied <= reserve; copied++) every.push({ kind, reserve, copied });
    }
  }
  return every;
}

Deno.test("A process killed after any byte of an append leaves the old size", async () => {
  const isNormal = ({ reserve }: Death) => reserve === 3 || reserve === 8;
  for (const { kind, reserve, copied } of everyByte.choices(deaths(), isNormal)) {
    const death = `${copied} of ${reserve} bytes (${kind})`;
    await withFile(async (path) => {
      await using process = startChild("die", path, kind, reserve, copied);
      assertEquals((await process.ended()).signal, "SIGKILL", death);
      assertChecks(path);
      const payload = dyingPayload(kind, reserve);
      {
        using aof = Aof.open(storage, path);
        const recovered = [aof.recovery.result()?.outcome, dataOf(aof)];
        assertEquals(recovered, [RecoveryKind.Tail, payload], death);
        aof.write(text("next"));
      }
      using again = Aof.open(storage, path);
      assertEquals(dataOf(again), concat(payload, text("next")), death);
    });
  }
});

Deno.test("A writer killed at any moment leaves whole writes, and none that was published is lost", async () => {
  const random = new Random(seedForTest("kill"));
  for (const _ of kills.rounds(5, 100)) {
    await withTemporaryDirectory(async (directory) => {
      const path = `${directory}/log`;
      const seed = random.next32();
      await using writer = startChild("endless", path, seed);
      const wanted = random.between(1, 2_000_000);
      const side = await waitUntil("the side file", () => followed(path)) as SideFile;
      await waitUntil("some writes", () => side.size.load() > wanted, { everyMs: 1 });
      await writer.kill();
      const published = side.size.load();
      side[Symbol.dispose]();
      assertChecks(path);
      using aof = Aof.open(storage, path);
      assert(aof.size >= published, `${aof.size} of ${published} published bytes`);
      const data = dataOf(aof);
      let offset = 0;
      for (const part of stream(seed)) {
        if (offset >= data.length) break;
        const found = data.subarray(offset, offset + part.length);
        if (part.some((byte, index) => byte !== found[index])) {
          assertEquals(found, part, `part at ${offset} of ${data.length}`);
        }
        offset += part.length;
      }
      assertEquals(offset, data.length, "the data ends between two writes");
      assertEquals(aof.publishedSize, aof.size);
    });
  }
});

function followed(path: string): SideFile | null {
  try {
    return SideFile.forReader(storage, path);
  } catch {
    return null;
  }
}
