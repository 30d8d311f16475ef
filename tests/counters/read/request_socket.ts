/** A plain client of the read port: sends bytes in any segmentation and takes replies apart. */

import { within } from "../../support/wait.ts";

export interface Reply {
  readonly total: number;
  readonly rows: number;
  readonly body: Uint8Array<ArrayBuffer>;
}

export class RequestSocket implements Disposable {
  readonly #connection: Deno.TcpConn;
  #isClosed = false;

  private constructor(connection: Deno.TcpConn) {
    this.#connection = connection;
  }

  static async connect(
    address: { readonly hostname: string; readonly port: number },
  ): Promise<RequestSocket> {
    const { hostname, port } = address;
    return new RequestSocket(await Deno.connect({ hostname, port }));
  }

  async send(bytes: Uint8Array): Promise<void> {
    for (let sent = 0; sent < bytes.length;) {
      sent += await this.#connection.write(bytes.subarray(sent));
    }
  }

  async endSending(): Promise<void> {
    await this.#connection.closeWrite();
  }

  /** Reads some bytes; null at the end. */
  async some(): Promise<Uint8Array | null> {
    const bytes = new Uint8Array(65_536);
    const count = await within("bytes of the server", this.#connection.read(bytes));
    return count === null ? null : bytes.subarray(0, count);
  }

  /** Reads exactly `count` bytes. */
  async bytes(count: number): Promise<Uint8Array<ArrayBuffer>> {
    const bytes = new Uint8Array(count);
    for (let filled = 0; filled < count;) {
      const read = this.#connection.read(bytes.subarray(filled));
      const more = await within("bytes of a reply", read);
      if (more === null) throw new Error(`The connection ended after ${filled} of ${count} bytes`);
      filled += more;
    }
    return bytes;
  }

  async reply(): Promise<Reply> {
    const head = new DataView((await this.bytes(24)).buffer);
    const [total, rows, bytes] = [0, 8, 16].map((at) => Number(head.getBigInt64(at, true)));
    return { total: total!, rows: rows!, body: await this.bytes(bytes!) };
  }

  [Symbol.dispose](): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#connection.close();
  }
}
