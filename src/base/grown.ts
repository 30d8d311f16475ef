type Words = Int32Array<ArrayBuffer> | Uint32Array<ArrayBuffer>;
type Column = Words | Uint16Array<ArrayBuffer> | Uint8Array<ArrayBuffer>;

/** A larger array that begins with the content of `from`, and is 0 behind it. */
export function grown<Kind extends Column>(from: Kind, length: number): Kind {
  const larger = new (from.constructor as new (length: number) => Kind)(length);
  larger.set(from);
  return larger;
}
