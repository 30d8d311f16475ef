/**
 * The part of a frame that is the same in every checked log (README.md draws it). Offsets are in bytes,
 * integers are little-endian. Each offset is the sum of the sizes of the fields before it.
 */

export const frameLayout = {
  length: { offset: 0, size: 4 },
  checksum: { offset: 4, size: 4 },
  durable: { offset: 8, size: 8 },
  number: { offset: 16, size: 4 },
  magic: { offset: 20, size: 2 },
  kind: { offset: 22, size: 1 },
  flags: { offset: 23, size: 1 },
  owner: { offset: 24, size: 0 },
} as const;

/** The least head of a frame. The head of the owner, if it has one, follows; then the body. */
export const FRAME_HEAD_BYTES_MIN = 24;
export const FRAME_ALIGNMENT_BYTES = 8;
/** Bit 0 of `flags`: more frames of the same step follow, and the step counts as a whole. */
export const FRAME_CONTINUES = 1;
