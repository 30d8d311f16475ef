/** The simplest server for a stream: it reads and drops. Row 3 is measured against it. */

const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
console.error(`listening on 127.0.0.1:${(listener.addr as Deno.NetAddr).port}`);

async function drop(connection: Deno.TcpConn): Promise<void> {
  const buffer = new Uint8Array(512 * 1024);
  while (await connection.read(buffer) !== null);
  connection.close();
}

for await (const connection of listener) drop(connection);
