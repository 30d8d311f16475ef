/** Each invariant of README.md, broken on purpose. */

import { assertEquals } from "@std/assert";
import { Aof, check, magicDisabled } from "../../src/aof/mod.ts";
import { sideFileLayout } from "../../src/aof/marks/layout.ts";
import { creating, storage, text, withFile } from "./support.ts";

/** Change bytes of a file on disk, past the library. */
function store(path: string, offset: number, bytes: Uint8Array): void {
  using file = storage.open(path, { access: "write" });
  file.write(bytes, offset);
}

function found(path: string): [number, string, number][] {
  return check(storage, path).map(({ invariant, path, offset }) => [invariant, path, offset]);
}

function makeShared(path: string, { finish = false } = {}): void {
  using aof = Aof.open(storage, path, { geometry: creating(), shared: true });
  aof.write(text("some data"));
  if (finish) aof.finish();
}

Deno.test("A good file passes, while it is written to, closed, finished, and before the first write", async () => {
  await withFile((path) => {
    using aof = Aof.open(storage, path, { geometry: creating(), shared: true });
    assertEquals(found(path), []);
    aof.append(100, (event) => {
      event.tail.fill(1);
      assertEquals(found(path), []);
      return 50;
    });
    assertEquals(found(path), []);
    aof.finish();
  });
});

Deno.test("Bytes that no mark ends break invariant 1", async () => {
  await withFile((path) => {
    makeShared(path);
    store(path, 2000, text("junk"));
    assertEquals(found(path), [[1, path, 2004]]);
  }, { damaged: true });
});

Deno.test("Bytes behind the last checkpoint mark break invariant 1", async () => {
  await withFile((path) => {
    {
      using aof = Aof.open(storage, path, { geometry: creating() });
      aof.write(text("chunk"));
      aof.checkpoint();
      aof.write(text("more"));
    }
    assertEquals(found(path), []);
    store(path, 30, text("junk"));
    assertEquals(found(path), [[1, path, 13]]);
  }, { damaged: true });
});

Deno.test("A finished file with bytes behind its mark breaks invariant 3", async () => {
  await withFile((path) => {
    makeShared(path, { finish: true });
    assertEquals(found(path), []);
    Deno.chmodSync(path, 0o600);
    Deno.truncateSync(path, 4096);
    assertEquals(found(path), []);
    Deno.chmodSync(path, 0o444);
    assertEquals(found(path), [[3, path, 17]]);
  }, { damaged: true });
});

Deno.test("More published than the file has breaks invariant 4", async () => {
  await withFile((path) => {
    makeShared(path);
    const side = `${path}.size`;
    store(side, 0, new Uint8Array(new BigInt64Array([10n]).buffer));
    assertEquals(found(path), [[4, side, 0]]);
    // The published size of another file says nothing about this one.
    store(side, sideFileLayout.inode.offset, new Uint8Array(8));
    assertEquals(found(path), []);
  }, { damaged: true });
});

Deno.test("A side file with an impossible field breaks invariant 5", async () => {
  const breaks: [number, Uint8Array][] = [
    [sideFileLayout.format.offset, text("zsa1")],
    [sideFileLayout.state.offset, new Uint8Array([2])],
    [sideFileLayout.device.offset + 8, new Uint8Array([1])],
  ];
  for (const [offset, bytes] of breaks) {
    await withFile((path) => {
      makeShared(path);
      store(`${path}.size`, offset, bytes);
      assertEquals(found(path), [[5, `${path}.size`, offset]]);
    }, { damaged: true });
  }
  await withFile((path) => {
    makeShared(path);
    Deno.truncateSync(`${path}.size`, 64);
    assertEquals(found(path), [[5, `${path}.size`, 64]]);
  }, { damaged: true });
});

Deno.test("Without marks any bytes pass", async () => {
  await withFile((path) => {
    Deno.writeFileSync(path, text("anything"));
    assertEquals(check(storage, path, { magic: magicDisabled }), []);
  }, { damaged: true });
});
