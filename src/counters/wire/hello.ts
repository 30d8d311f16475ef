/**
 * The hello of both ports: how a connection comes to batches, or to requests after a hello. Four messages of
 * fixed size, drawn in README.md:
 *
 *     client ── hello, 520 ──▶ server ── welcome, 64 ──▶ client ── introduction, 256 ──▶ server ── admission, 64 ──▶
 *
 * A server without hellos takes the first for a message that breaks a rule: it counts nothing of it.
 */

import { fieldNameLength } from "./field.ts";
import type { MessageSizes } from "./message_sizes.ts";

/** How hello and welcome begin: `countd2` and a line feed. */
export const HELLO_MAGIC = new TextEncoder().encode("countd2\n");

/** A hello is the magic and 512 zero bytes: an increment of an empty keyspace, which no server accepts. */
export const HELLO_BYTES = 520;

/** What is spoken after a hello. */
export const HELLO_VERSION = 1;

export const welcomeLayout = {
  magic: { offset: 0, size: 8 },
  version: { offset: 8, size: 4 },
  status: { offset: 12, size: 4 },
  keyspaceSize: { offset: 16, size: 4 },
  keySize: { offset: 20, size: 4 },
  batchBytes: { offset: 24, size: 4 },
  takes: { offset: 28, size: 4 },
  identity: { offset: 32, size: 16 },
  zeros: { offset: 48, size: 16 },
} as const;
export const WELCOME_BYTES = 64;

export const introductionLayout = {
  version: { offset: 0, size: 4 },
  flags: { offset: 4, size: 4 },
  producer: { offset: 8, size: 16 },
  keyspaceSize: { offset: 24, size: 4 },
  keySize: { offset: 28, size: 4 },
  token: { offset: 32, size: 192 },
  zeros: { offset: 224, size: 32 },
} as const;
export const INTRODUCTION_BYTES = 256;

export const admissionLayout = {
  status: { offset: 0, size: 4 },
  reserved: { offset: 4, size: 4 },
  last: { offset: 8, size: 8 },
  zeros: { offset: 16, size: 48 },
} as const;
export const ADMISSION_BYTES = 64;

/** Bits of what a port takes. */
export const TAKES_BATCHES = 1;
export const TAKES_REQUESTS = 2;

/** Flags of an introduction: the producer was never used before; the connection is for requests. */
export const INTRODUCED_NEW = 1;
export const INTRODUCED_FOR_REQUESTS = 2;

/** Status of an admission. With any but 0 the connection ends. */
export const admissionStatuses = {
  admitted: 0,
  malformed: 1,
  otherVersion: 2,
  otherWidths: 3,
  notTaken: 4,
  noProducers: 5,
} as const;

/** What a server says of itself. */
export interface Welcome extends MessageSizes {
  readonly version: number;
  /** 0; with any other the connection ends. */
  readonly status: number;
  /** Most bytes of the records of a batch. */
  readonly batchBytes: number;
  /** Bits: `TAKES_BATCHES`, `TAKES_REQUESTS`. */
  readonly takes: number;
  /** 16 bytes, which distinguish the data directory from its copies. */
  readonly identity: Uint8Array;
}

/** What a client says of itself. */
export interface Introduction extends MessageSizes {
  readonly version: number;
  /** Bits: `INTRODUCED_NEW`, `INTRODUCED_FOR_REQUESTS`. */
  readonly flags: number;
  /** 16 bytes; zeros for none. */
  readonly producer: Uint8Array;
  /** At most 192 bytes without NUL; empty for none. */
  readonly token: Uint8Array;
}

/** Whether a client may go on, and after which batch. */
export interface Admission {
  /** One of `admissionStatuses`. */
  readonly status: number;
  /** Sequence of the producer's last batch; 0 without a producer. */
  readonly last: number;
}

/**
 * Whether `bytes[start … end)`, the first bytes of a connection, are a hello. Only all of its 520 bytes tell:
 * any part of them may begin an increment or a request.
 */
export function findHello(
  bytes: Uint8Array,
  start: number,
  end: number,
): "none" | "part" | "whole" {
  const length = Math.min(end - start, HELLO_BYTES);
  for (let index = 0; index < length; index++) {
    if (bytes[start + index] !== (HELLO_MAGIC[index] ?? 0)) return "none";
  }
  return length === HELLO_BYTES ? "whole" : "part";
}

export function encodeHello(): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(HELLO_BYTES);
  bytes.set(HELLO_MAGIC);
  return bytes;
}

export function encodeWelcome(welcome: Welcome): Uint8Array<ArrayBuffer> {
  const at = welcomeLayout;
  const bytes = new Uint8Array(WELCOME_BYTES);
  const view = new DataView(bytes.buffer);
  bytes.set(HELLO_MAGIC);
  view.setUint32(at.version.offset, welcome.version, true);
  view.setUint32(at.status.offset, welcome.status, true);
  view.setUint32(at.keyspaceSize.offset, welcome.keyspaceSize, true);
  view.setUint32(at.keySize.offset, welcome.keySize, true);
  view.setUint32(at.batchBytes.offset, welcome.batchBytes, true);
  view.setUint32(at.takes.offset, welcome.takes, true);
  bytes.set(welcome.identity, at.identity.offset);
  return bytes;
}

/** Null if the 64 bytes are no welcome: the server has no hellos, or it is another program. */
export function decodeWelcome(bytes: Uint8Array): Welcome | null {
  const at = welcomeLayout;
  if (!HELLO_MAGIC.every((byte, index) => bytes[index] === byte)) return null;
  const view = new DataView(bytes.buffer, bytes.byteOffset, WELCOME_BYTES);
  return {
    version: view.getUint32(at.version.offset, true),
    status: view.getUint32(at.status.offset, true),
    keyspaceSize: view.getUint32(at.keyspaceSize.offset, true),
    keySize: view.getUint32(at.keySize.offset, true),
    batchBytes: view.getUint32(at.batchBytes.offset, true),
    takes: view.getUint32(at.takes.offset, true),
    identity: bytes.slice(at.identity.offset, at.identity.offset + at.identity.size),
  };
}

export function encodeIntroduction(introduction: Introduction): Uint8Array<ArrayBuffer> {
  const at = introductionLayout;
  const bytes = new Uint8Array(INTRODUCTION_BYTES);
  const view = new DataView(bytes.buffer);
  view.setUint32(at.version.offset, introduction.version, true);
  view.setUint32(at.flags.offset, introduction.flags, true);
  bytes.set(introduction.producer, at.producer.offset);
  view.setUint32(at.keyspaceSize.offset, introduction.keyspaceSize, true);
  view.setUint32(at.keySize.offset, introduction.keySize, true);
  bytes.set(introduction.token, at.token.offset);
  return bytes;
}

/**
 * Null if bytes that must be 0 are not, a flag is unknown, or the token has bytes after a NUL. Another version
 * may use them, so its introduction is not tested.
 */
export function decodeIntroduction(bytes: Uint8Array): Introduction | null {
  const at = introductionLayout;
  const view = new DataView(bytes.buffer, bytes.byteOffset, INTRODUCTION_BYTES);
  const version = view.getUint32(at.version.offset, true);
  const flags = view.getUint32(at.flags.offset, true);
  const tokenEnd = at.token.offset + at.token.size;
  const tokenLength = fieldNameLength(bytes, at.token.offset, tokenEnd);
  const isKnown = (flags & ~(INTRODUCED_NEW | INTRODUCED_FOR_REQUESTS)) === 0;
  const isZero = bytes.subarray(at.zeros.offset, INTRODUCTION_BYTES).every((byte) => byte === 0);
  if (version === HELLO_VERSION && !(isKnown && tokenLength >= 0 && isZero)) return null;
  return {
    version,
    flags,
    producer: bytes.slice(at.producer.offset, at.producer.offset + at.producer.size),
    keyspaceSize: view.getUint32(at.keyspaceSize.offset, true),
    keySize: view.getUint32(at.keySize.offset, true),
    token: bytes.slice(at.token.offset, at.token.offset + Math.max(0, tokenLength)),
  };
}

export function encodeAdmission({ status, last }: Admission): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(ADMISSION_BYTES);
  const view = new DataView(bytes.buffer);
  view.setUint32(admissionLayout.status.offset, status, true);
  view.setBigUint64(admissionLayout.last.offset, BigInt(last), true);
  return bytes;
}

export function decodeAdmission(bytes: Uint8Array): Admission {
  const view = new DataView(bytes.buffer, bytes.byteOffset, ADMISSION_BYTES);
  return {
    status: view.getUint32(admissionLayout.status.offset, true),
    last: Number(view.getBigUint64(admissionLayout.last.offset, true)),
  };
}
