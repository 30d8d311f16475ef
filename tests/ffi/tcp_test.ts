/** Connections at the kernel: what they tell, and the end of one to which a write waits for its peer. */

import { assert, assertEquals, assertRejects } from "@std/assert";
import { connectionsOf, shutdownConnection } from "../../ffi/mod.ts";
import { waitUntil, within } from "../support/wait.ts";

/** Null if the machine has no such address. */
function listenOrNull(hostname: string): Deno.TcpListener | null {
  try {
    return Deno.listen({ hostname, port: 0 });
  } catch (error) {
    if (hostname.includes(":")) return null;
    throw error;
  }
}

/** Both ends of a connection; the peer reads nothing. */
async function withConnection(
  { listen, to }: { readonly listen: string; readonly to: string },
  body: (own: Deno.TcpConn, peer: Deno.TcpConn) => Promise<void>,
): Promise<void> {
  using listener = listenOrNull(listen);
  if (listener === null) return console.log("not run: needs IPv6");
  const { port } = listener.addr as Deno.NetAddr;
  const [peer, own] = await Promise.all([
    Deno.connect({ hostname: to, port }),
    listener.accept(),
  ]);
  try {
    await body(own, peer);
  } finally {
    for (const end of [own, peer]) end.close();
  }
}

/** Writes more than the sockets hold. */
async function writeMuch(connection: Deno.TcpConn): Promise<void> {
  const bytes = new Uint8Array(64 * 2 ** 20);
  for (let sent = 0; sent < bytes.length;) sent += await connection.write(bytes.subarray(sent));
}

for (
  const { listen, to } of [
    { listen: "127.0.0.1", to: "127.0.0.1" },
    { listen: "::1", to: "::1" },
    // The address of the peer is an IPv4 address mapped into IPv6.
    { listen: "::", to: "127.0.0.1" },
  ]
) {
  Deno.test(`A write that waits for its peer (${to} to ${listen}) ends with its connection`, async () => {
    await withConnection({ listen, to }, async (own, peer) => {
      let isOver = false;
      const written = writeMuch(own).finally(() => isOver = true);
      const refused = assertRejects(() => written, Deno.errors.BrokenPipe);
      await waitUntil("the sockets to be full", async () => {
        await new Promise((resolve) => setTimeout(resolve, 50));
        return !isOver;
      });
      assert(shutdownConnection(own.localAddr, own.remoteAddr));
      await within("the write", refused);
      // The other end belongs to this process as well, and must stay open.
      assertEquals(shutdownConnection(peer.localAddr, peer.remoteAddr), true);
    });
  });
}

Deno.test("The search for a connection that is gone ends soon", async () => {
  await withConnection({ listen: "127.0.0.1", to: "127.0.0.1" }, (own) => {
    const startMs = performance.now();
    assertEquals(shutdownConnection(own.localAddr, { ...own.remoteAddr, port: 1 }), false);
    // A search through all possible descriptor numbers would take more than a second.
    assert(performance.now() - startMs < 500);
    return Promise.resolve();
  });
});

Deno.test("The system tells what a peer has acknowledged, and what waits for it", async () => {
  await withConnection({ listen: "127.0.0.1", to: "127.0.0.1" }, async (own, peer) => {
    const { port } = own.localAddr;
    const told = () => connectionsOf(port).map(({ shutdown: _, ...rest }) => rest);
    const name = `127.0.0.1 ${own.remoteAddr.port}`;
    assertEquals(told(), [{ peer: name, unsentBytes: 0, acknowledgedBytes: 0 }]);
    await own.write(new Uint8Array(1000));
    const buffer = new Uint8Array(2 ** 20);
    assertEquals(await peer.read(buffer), 1000);
    const isLinux = Deno.build.os === "linux";
    await waitUntil("the acknowledgement", () => told()[0]!.unsentBytes === 0);
    assertEquals(told()[0]!.acknowledgedBytes, isLinux ? 1000 : 0);
    if (!isLinux) return;
    const written = writeMuch(own).catch(() => {});
    await waitUntil("the sockets to be full", async () => {
      const [before] = told();
      await new Promise((resolve) => setTimeout(resolve, 50));
      return before!.unsentBytes > 0 && JSON.stringify(before) === JSON.stringify(told()[0]);
    });
    const { acknowledgedBytes } = told()[0]!;
    for (let taken = 0; taken < 4 * 2 ** 20;) taken += await peer.read(buffer) ?? 0;
    await waitUntil("more", () => told()[0]!.acknowledgedBytes > acknowledgedBytes);
    assert(shutdownConnection(own.localAddr, own.remoteAddr));
    await written;
  });
});
