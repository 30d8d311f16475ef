/** The room through its door: a data directory is asked without a server. */

import { assert, assertEquals, assertThrows } from "@std/assert";
import { systemClock } from "../../../src/base/clock.ts";
import { NotFoundError } from "../../../src/base/errors.ts";
import { noEvents } from "../../../src/base/events.ts";
import { Counters } from "../../../src/counters/mod.ts";
import { Reader } from "../../../src/counters/view/mod.ts";
import { systemStorage } from "../../../src/file/mod.ts";
import { checkData } from "../../support/check_data.ts";
import { withTemporaryDirectory } from "../../support/temporary.ts";
import { latin1Bytes, latin1Text } from "./plain_base.ts";

const OPTIONS = { stale: false, clock: systemClock, events: noEvents };

Deno.test("A data directory answers value, rank, rows and keyspaces, and is closed with its reader", async () => {
  await withTemporaryDirectory(async (directory) => {
    const data = `${directory}/data`;
    const pages = latin1Bytes("pages");
    {
      await using counters = await Counters.open(data, { logSize: 64 * 1024 });
      await counters.increment("pages", "/a", 3);
      await counters.fold();
      await counters.increment("pages", "/b", 5);
      await counters.increment("votes", "x");
    }
    {
      using reader = Reader.open(systemStorage(), data, OPTIONS);
      assertEquals(await reader.value(pages, latin1Bytes("/a")), 3n);
      assertEquals(await reader.key(pages, latin1Bytes("/a")), { rank: 1, value: 3n });
      const { total, rows } = await reader.page(pages, { offset: 0, length: 10 });
      assertEquals(total, 2);
      const shown = rows.map(({ key, value }) => `${latin1Text(key)} ${value}`);
      assertEquals(shown, ["/b 5", "/a 3"]);
      const keyspaces = await reader.keyspaces(new Uint8Array(0));
      const listed = keyspaces.map(({ name, counters }) => `${latin1Text(name)} ${counters}`);
      assertEquals(listed, ["pages 2", "votes 1"]);
      assert(openFilesIn(data).length > 0);
    }
    assertEquals(openFilesIn(data), []);
    checkData(data);
  });
});

Deno.test("A reader of a data directory that does not exist is refused, and makes nothing", async () => {
  await withTemporaryDirectory((directory) => {
    const data = `${directory}/data`;
    assertThrows(() => Reader.open(systemStorage(), data, OPTIONS), NotFoundError);
    assertEquals([...Deno.readDirSync(directory)], []);
    return Promise.resolve();
  });
});

/** Files in a directory that this process has open or mapped. */
function openFilesIn(directory: string): string[] {
  const paths: string[] = [];
  for (const { name } of Deno.readDirSync("/proc/self/fd")) {
    try {
      paths.push(Deno.readLinkSync(`/proc/self/fd/${name}`));
    } catch {
      // The descriptor of the listing itself.
    }
  }
  for (const line of Deno.readTextFileSync("/proc/self/maps").split("\n")) {
    const at = line.indexOf("/");
    if (at >= 0) paths.push(line.slice(at));
  }
  return paths.filter((path) => path.startsWith(directory));
}
