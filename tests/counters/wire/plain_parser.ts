/**
 * A second, simple implementation of the protocol: bytes one at a time, names as strings, counts as BigInt.
 * The results of the fast code must be the same.
 */

export interface PlainMessage {
  /** The bytes as a Latin-1 string. */
  readonly keyspace: string;
  readonly key: string;
  readonly increment: bigint;
}

export interface PlainOutcome {
  readonly verdicts: boolean[];
  readonly accepted: PlainMessage[];
}

function name(bytes: number[]): string | null {
  const length = bytes.indexOf(0);
  if (length < 0) return String.fromCharCode(...bytes);
  if (bytes.slice(length).some((byte) => byte !== 0)) return null;
  return String.fromCharCode(...bytes.slice(0, length));
}

function integer(bytes: number[]): bigint {
  let value = 0n;
  for (let index = 0; index < 8; index++) {
    value += BigInt(bytes[index] as number) << BigInt(8 * index);
  }
  return BigInt.asIntN(64, value);
}

/** Whole messages of `bytes`. */
export function parsePlainly(
  bytes: Uint8Array,
  sizes: { keyspaceSize: number; keySize: number },
): PlainOutcome {
  const messageBytes = 8 + sizes.keyspaceSize + sizes.keySize;
  const verdicts: boolean[] = [];
  const accepted: PlainMessage[] = [];
  for (let at = 0; at + messageBytes <= bytes.length; at += messageBytes) {
    const message = [...bytes.subarray(at, at + messageBytes)];
    const keyspace = name(message.slice(8, 8 + sizes.keyspaceSize));
    const key = name(message.slice(8 + sizes.keyspaceSize));
    const isGood = keyspace !== null && keyspace !== "" && key !== null;
    verdicts.push(isGood);
    if (isGood) accepted.push({ keyspace, key, increment: integer(message) });
  }
  return { verdicts, accepted };
}
