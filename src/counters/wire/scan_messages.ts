/**
 * Scans the name fields of write messages, a run of messages at a time, with SIMD in WebAssembly. The
 * messages are copied into its memory. The source is `scan_messages.wat`.
 */

import { assert } from "../../base/assert.ts";
import { type MessageSizes, writeMessageBytes } from "./message_sizes.ts";

/** A byte after a name's first NUL is not NUL. */
export const FIELD_BROKEN = 0xfffe;
/** A keyspace field with the same bytes as that of the message before. */
export const FIELD_SAME = 0xffff;

/** Fields are scanned 16 bytes at a time. */
const BLOCK_BYTES = 16;
const MESSAGES_OFFSET = 1024;
const RUN_MESSAGES_MAX = MESSAGES_OFFSET / 4;
/** A run stays in the processor's cache until its records are written. */
const RUN_BYTES_MAX = 32 * 1024;

/** `scan_messages.wat`, assembled, in base64. */
export const SCAN_PROGRAM =
  "AGFzbQEAAAABFQNgAn9/AX9gA39/fwF/YAR/f39/AAMEAwABAgUDAQABBxECBm1lbW9yeQIABHNjYW4AAgqcAwPj" +
  "AQIEfwF7IAAhAiAAIAFqIQMDQCAA/QAEAP0MAAAAAAAAAAAAAAAAAAAAAP0j/WQhBCAERQRAIABBEGohACAAIANJ" +
  "DQEgAQ8LCyAEaCEFIAQgBXZB//8DIAV2RwRAQf7/Aw8LIAAgAmsgBWohBSAAQRBqIQACQANAIABBwABqIANLDQEg" +
  "BiAA/QAEACAA/QAEEP1QIAD9AAQgIAD9AAQw/VD9UP1QIQYgAEHAAGohAAwACwsCQANAIAAgA08NASAGIAD9AAQA" +
  "/VAhBiAAQRBqIQAMAAsLIAb9UwRAQf7/Aw8LIAULPgIBfwF7IAAgAmohAwNAIAQgAP0ABAAgAf0ABAD9Uf1QIQQg" +
  "AEEQaiEAIAFBEGohASAAIANJDQALIAT9U0ULdgEEfyABQQJ0IQVBCCACIANqaiEHIABBCGohAAJAA0AgBCAFTw0B" +
  "IAAgAmohBiAEBH8gACAAIAdrIAIQAQVBAAsEQCAEQf//AzsBAAUgBCAAIAIQADsBAAsgBCAGIAMQADsBAiAAIAdq" +
  "IQAgBEEEaiEEDAALCws=";

type Scan = (at: number, count: number, keyspaceSize: number, keySize: number) => void;

let scanner: MessageScanner | null = null;

/** Copies runs of messages into the memory of the program, and scans them there. */
export class MessageScanner {
  /** Two results for each message of the run: for its keyspace field, and for its key field. */
  readonly fields: Uint16Array;
  /** The run's messages, one after the other from word `MESSAGES_WORD` on. */
  readonly words: Int32Array;
  readonly #bytes: Uint8Array;
  readonly #scan: Scan;

  private constructor() {
    const program = Uint8Array.from(atob(SCAN_PROGRAM), (byte) => byte.charCodeAt(0));
    const { exports } = new WebAssembly.Instance(new WebAssembly.Module(program));
    const { buffer } = exports["memory"] as WebAssembly.Memory;
    this.#scan = exports["scan"] as Scan;
    this.#bytes = new Uint8Array(buffer);
    this.words = new Int32Array(buffer);
    this.fields = new Uint16Array(buffer, 0, 2 * RUN_MESSAGES_MAX);
    assert(MESSAGES_OFFSET + RUN_BYTES_MAX <= buffer.byteLength, "A run fits the memory");
  }

  /** The only scanner. It can be shared, because a run is used before the next is scanned. */
  static get(): MessageScanner {
    return scanner ??= new MessageScanner();
  }

  static readonly MESSAGES_WORD = MESSAGES_OFFSET / 4;

  /** Whether fields of these sizes can be scanned: they must be whole blocks. */
  static fits({ keyspaceSize, keySize }: MessageSizes): boolean {
    return keyspaceSize % BLOCK_BYTES === 0 && keySize % BLOCK_BYTES === 0;
  }

  /** Most messages of a run. */
  static runMessages(sizes: MessageSizes): number {
    return Math.min(RUN_MESSAGES_MAX, Math.floor(RUN_BYTES_MAX / writeMessageBytes(sizes)));
  }

  /** Scans `count` messages of `source[at …)`, at most `runMessages` of them. */
  scan(source: Uint8Array, at: number, count: number, sizes: MessageSizes): void {
    const end = at + count * writeMessageBytes(sizes);
    this.#bytes.set(source.subarray(at, end), MESSAGES_OFFSET);
    this.#scan(MESSAGES_OFFSET, count, sizes.keyspaceSize, sizes.keySize);
  }
}
