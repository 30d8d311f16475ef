/**
 * Widths of the two name fields. They are fixed when a data directory is made. Every client of its servers
 * has to use the same ones, because a message carries no sizes.
 */

import { UsageError } from "../../base/errors.ts";

/** Names are at most this long on the wire, in a record and in a keyspace file. */
export const NAME_SIZE_MAX = 256;

export const INCREMENT_BYTES = 8;

/** Widths of the keyspace field and the key field, in bytes, 1 … 256. */
export interface MessageSizes {
  /** Width of the keyspace field. */
  readonly keyspaceSize: number;
  /** Width of the key field. */
  readonly keySize: number;
}

/** The widths of a data directory that was made without others: 256 bytes each. */
export const DEFAULT_SIZES: MessageSizes = {
  keyspaceSize: NAME_SIZE_MAX,
  keySize: NAME_SIZE_MAX,
};

/** Throws `UsageError` if a width is not a whole number in 1 … 256. */
export function checkSizes(sizes: MessageSizes): void {
  checkSize("keyspace", sizes.keyspaceSize);
  checkSize("key", sizes.keySize);
}

/** Bytes of a write message: 520 with the default sizes. */
export function writeMessageBytes(sizes: MessageSizes): number {
  return INCREMENT_BYTES + sizes.keyspaceSize + sizes.keySize;
}

function checkSize(field: string, size: number): void {
  if (!Number.isInteger(size) || size < 1 || size > NAME_SIZE_MAX) {
    throw new UsageError(
      `The ${field} size ${size} is not a whole number of bytes from 1 to ${NAME_SIZE_MAX}`,
    );
  }
}
