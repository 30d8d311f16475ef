/**
 * The server's part of a hello, without a socket: bytes in, replies out.
 *
 *     state           | ends with            | reply
 *     "hello"         | 520 bytes            | welcome
 *     "introduction"  | 256 bytes            | admission
 *     "admitted"      |                      | batches or requests follow
 *     "refused"       |                      | the connection ends; `refusal` says why
 */

import { assert } from "../../base/assert.ts";
import {
  type Admission,
  admissionStatuses,
  decodeIntroduction,
  encodeAdmission,
  encodeWelcome,
  HELLO_BYTES,
  HELLO_VERSION,
  INTRODUCED_FOR_REQUESTS,
  INTRODUCED_NEW,
  type Introduction,
  INTRODUCTION_BYTES,
  TAKES_BATCHES,
  TAKES_REQUESTS,
} from "./hello.ts";
import type { MessageSizes } from "./message_sizes.ts";
import type { ReceiveBuffer } from "./message_splitter.ts";

/** What a server tells each client. */
export interface HelloTerms {
  readonly sizes: MessageSizes;
  readonly batchBytes: number;
  /** The one kind that the port takes: `TAKES_BATCHES` or `TAKES_REQUESTS`. */
  readonly takes: number;
  /** 16 bytes. */
  readonly identity: Uint8Array;
}

export class HelloExchange {
  readonly #terms: HelloTerms;
  #state: "hello" | "introduction" | "admitted" | "refused" = "hello";
  #refusal = "";

  constructor(terms: HelloTerms) {
    this.#terms = terms;
  }

  get state(): "hello" | "introduction" | "admitted" | "refused" {
    return this.#state;
  }

  /** Why the client was refused, as the end of a sentence; empty if it was not. */
  get refusal(): string {
    return this.#refusal;
  }

  /**
   * Goes through the hello, which is in the input, with a peer; false if it was refused, or has ended. `read` adds
   * bytes to the input, and `send` sends some; both return false at the end.
   */
  async run(input: ReceiveBuffer, { read, send }: {
    readonly read: () => Promise<boolean>;
    readonly send: (bytes: Uint8Array) => Promise<boolean>;
  }): Promise<boolean> {
    while (this.#state !== "admitted") {
      const reply = this.next(input);
      if (!await (reply === null ? read() : send(reply))) return false;
      if (this.#state === "refused") return false;
    }
    return true;
  }

  /** Consumes the next message of the client, and returns the reply; null if it is not whole yet. */
  next(input: ReceiveBuffer): Uint8Array<ArrayBuffer> | null {
    assert(this.#state === "hello" || this.#state === "introduction", "A hello ends once");
    const { start } = input;
    const { sizes, ...terms } = this.#terms;
    if (this.#state === "hello") {
      if (input.length < HELLO_BYTES) return null;
      input.consume(start + HELLO_BYTES);
      this.#state = "introduction";
      return encodeWelcome({ version: HELLO_VERSION, status: 0, ...sizes, ...terms });
    }
    if (input.length < INTRODUCTION_BYTES) return null;
    const bytes = input.bytes.subarray(start, start + INTRODUCTION_BYTES);
    const status = this.#judge(decodeIntroduction(bytes));
    input.consume(start + INTRODUCTION_BYTES);
    this.#state = status === admissionStatuses.admitted ? "admitted" : "refused";
    return encodeAdmission({ status, last: 0 });
  }

  /** The status for a client; sets `refusal`. */
  #judge(introduction: Introduction | null): Admission["status"] {
    const { sizes: { keyspaceSize, keySize }, takes } = this.#terms;
    if (introduction === null) {
      this.#refusal = "its introduction has an unknown flag, or a byte that must be 0 and is not";
      return admissionStatuses.malformed;
    }
    if (introduction.version !== HELLO_VERSION) {
      this.#refusal = `it speaks version ${introduction.version}, not ${HELLO_VERSION}`;
      return admissionStatuses.otherVersion;
    }
    if (introduction.keyspaceSize !== keyspaceSize || introduction.keySize !== keySize) {
      this.#refusal =
        `its keyspace and key sizes are ${introduction.keyspaceSize} and ${introduction.keySize}, ` +
        `not ${keyspaceSize} and ${keySize}`;
      return admissionStatuses.otherWidths;
    }
    const isForRequests = (introduction.flags & INTRODUCED_FOR_REQUESTS) !== 0;
    if (takes !== (isForRequests ? TAKES_REQUESTS : TAKES_BATCHES)) {
      this.#refusal = isForRequests
        ? "it has requests, and this port takes batches"
        : "it has batches, and this port takes requests";
      return admissionStatuses.notTaken;
    }
    if (introduction.flags & INTRODUCED_NEW || introduction.producer.some((byte) => byte !== 0)) {
      this.#refusal = "it is a producer, and this countd has none: send batches without an id";
      return admissionStatuses.noProducers;
    }
    return admissionStatuses.admitted;
  }
}
