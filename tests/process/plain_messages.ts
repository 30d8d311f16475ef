/** Messages of both ports with the default sizes, made without the program's own encoders. */

const text = new TextEncoder();

/** Makes an increment for the write port. */
export function increment(keyspace: string, key: string, value: bigint): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(520);
  new DataView(bytes.buffer).setBigInt64(0, value, true);
  bytes.set(text.encode(keyspace), 8);
  bytes.set(text.encode(key), 264);
  return bytes;
}

/** Makes a request for rows of a keyspace. */
export function pageRequest(keyspace: string, length: number): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(272);
  bytes.set(text.encode(keyspace));
  new DataView(bytes.buffer).setBigInt64(264, BigInt(length), true);
  return bytes;
}

/** Makes a request for the rank of a key. */
export function rankRequest(keyspace: string, key: string): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(528);
  bytes.set(text.encode(keyspace));
  const view = new DataView(bytes.buffer);
  view.setBigInt64(256, -(2n ** 63n), true);
  view.setBigInt64(264, 1n, true);
  bytes.set(text.encode(key), 272);
  return bytes;
}

export function joined(parts: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    bytes.set(part, at);
    at += part.length;
  }
  return bytes;
}

/** Writes all of the bytes. */
export async function sendAll(connection: Deno.TcpConn, bytes: Uint8Array): Promise<void> {
  for (let sent = 0; sent < bytes.length;) sent += await connection.write(bytes.subarray(sent));
}

/** Reads exactly this number of bytes. */
export async function receive(connection: Deno.TcpConn, count: number): Promise<DataView> {
  const bytes = new Uint8Array(count);
  for (let filled = 0; filled < count;) {
    const more = await connection.read(bytes.subarray(filled));
    if (more === null) throw new Error(`The connection ended after ${filled} of ${count} bytes`);
    filled += more;
  }
  return new DataView(bytes.buffer);
}

/** Sends increments, and returns how many were accepted. */
export async function sendIncrements(
  port: number,
  increments: readonly Uint8Array[],
): Promise<bigint> {
  using connection = await Deno.connect({ hostname: "127.0.0.1", port });
  await sendAll(connection, joined(increments));
  await connection.closeWrite();
  return (await receive(connection, 16)).getBigInt64(0, true);
}

/** Asks for one page, and returns the number of counters and of rows. */
export async function askPage(
  connection: Deno.TcpConn,
  request: Uint8Array,
): Promise<{ readonly total: bigint; readonly rows: bigint }> {
  await sendAll(connection, request);
  const head = await receive(connection, 24);
  await receive(connection, Number(head.getBigInt64(16, true)));
  return { total: head.getBigInt64(0, true), rows: head.getBigInt64(8, true) };
}
