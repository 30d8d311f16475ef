/**
 * From the socket to the commit log in one pass: whole write messages are checked and rewritten as
 * compact records, straight into the mapped log. This is the hottest loop of the write path, so it
 * reads and writes 32-bit words, allocates nothing for a message, and knows the last keyspace by heart.
 *
 * Invariants:
 * 1. A message is either consumed whole (accepted or refused) or not at all.
 * 2. What stands in the target between start and `targetNext` is a run of whole records; together with
 *    what was written since `beginBatch` it is a record batch.
 * 3. Bytes of the target from `targetNext` on are as they were.
 */

import { assert } from "../base/assert.ts";
import { BatchKeyspaces } from "./batch_keyspaces.ts";
import {
  checkSizes,
  INCREMENT_BYTES,
  type MessageSizes,
  NAME_SIZE_MAX,
  writeMessageBytes,
} from "./message_sizes.ts";
import {
  RECORD_ALIGNMENT,
  RECORD_KIND_COUNTER,
  RECORD_KIND_KEYSPACE,
  RECORD_NAME_LENGTH_OFFSET,
  RECORD_NAME_OFFSET,
} from "./record.ts";

const INCREMENT_WORDS = INCREMENT_BYTES / 4;
const RECORD_HEAD_WORDS = RECORD_NAME_OFFSET / 4;
const NAME_LENGTH_SHIFT = RECORD_NAME_LENGTH_OFFSET * 8;
const NAME_WORDS_MAX = NAME_SIZE_MAX / 4;
const BROKEN = -1;

/** Why `compactMessages` returned. */
export type CompactStop =
  /** Every whole message of the source is consumed. */
  | "source-done"
  /** The next record has no room in the target. */
  | "target-full"
  /** The batch defines as many keyspaces as it may: begin another one. */
  | "keyspaces-full";

/**
 * What goes in and comes out of `compactMessages` beside the bytes, and what it remembers of the batch
 * that is being written. One for each log that is being filled.
 */
export class CompactState {
  readonly sizes: MessageSizes;
  readonly messageBytes: number;

  /** In: fill `verdicts`. */
  wantsVerdicts = false;

  // Out, each for the last call.
  stop: CompactStop = "source-done";
  sourceNext = 0;
  targetNext = 0;
  /** Counter records written. A zero increment is accepted without one. */
  records = 0;
  accepted = 0;
  refused = 0;
  /** A bit for each consumed message in order, set where it was refused. */
  verdicts: Uint8Array<ArrayBuffer> = new Uint8Array(0);

  /** Why messages were refused, since the state was made. */
  readonly refusals = { emptyKeyspace: 0, keyspaceAfterNul: 0, keyAfterNul: 0 };

  /** @internal Keyspaces defined in this batch. */
  readonly keyspaces = new BatchKeyspaces();
  /** @internal The keyspace of the message before: number, name words, and how many of them. */
  lastNumber = -1;
  /** @internal */
  lastWordCount = 0;
  /** @internal */
  readonly lastWords = new Int32Array(NAME_WORDS_MAX);
  /** @internal Widths of the two fields when they are padded to words. */
  readonly keyspaceWords: number;
  /** @internal */
  readonly keyWords: number;
  /** @internal Messages can be read in place when they begin on a word. */
  readonly fieldsAreWords: boolean;
  /** @internal One message with padded fields, for those that cannot be read in place. */
  readonly scratch: Int32Array<ArrayBuffer>;
  /** @internal */
  readonly scratchBytes: Uint8Array<ArrayBuffer>;

  #wordsOfSource = new Int32Array(0);
  #wordsOfTarget = new Int32Array(0);

  constructor(sizes: MessageSizes) {
    checkSizes(sizes);
    assert(new Uint8Array(new Uint32Array([1]).buffer)[0] === 1, "Words are little-endian");
    this.sizes = sizes;
    this.messageBytes = writeMessageBytes(sizes);
    this.keyspaceWords = (sizes.keyspaceSize + 3) >>> 2;
    this.keyWords = (sizes.keySize + 3) >>> 2;
    this.fieldsAreWords = sizes.keyspaceSize % 4 === 0 && sizes.keySize % 4 === 0;
    this.scratch = new Int32Array(INCREMENT_WORDS + this.keyspaceWords + this.keyWords);
    this.scratchBytes = new Uint8Array(this.scratch.buffer);
  }

  /** Forgets the keyspaces: the next record stands in a batch of its own. */
  beginBatch(): void {
    this.keyspaces.clear();
    this.lastNumber = -1;
    this.lastWordCount = 0;
  }

  /** @internal Words over the whole buffer behind `source`; made once for each buffer. */
  wordsOfSource(source: Uint8Array): Int32Array {
    return this.#wordsOfSource = wordsOver(source, this.#wordsOfSource);
  }

  /** @internal */
  wordsOfTarget(target: Uint8Array): Int32Array {
    return this.#wordsOfTarget = wordsOver(target, this.#wordsOfTarget);
  }

  /** @internal Room for `count` verdicts, all saying accepted. */
  clearVerdicts(count: number): void {
    const size = (count + 7) >>> 3;
    if (this.verdicts.length < size) this.verdicts = new Uint8Array(size);
    else this.verdicts.fill(0, 0, size);
  }
}

/**
 * Consumes whole messages from `source[sourceStart … sourceEnd)` and writes their records, with the
 * definitions of keyspaces that are new to the batch, to `target[targetStart … targetEnd)`. The target
 * is 8-byte aligned. Results are fields of `state`. Messages that start on a word (as in a
 * `MessageSplitter` with the default sizes) are read in place; others are copied one by one first.
 */
export function compactMessages(
  source: Uint8Array,
  sourceStart: number,
  sourceEnd: number,
  target: Uint8Array,
  targetStart: number,
  targetEnd: number,
  state: CompactState,
): void {
  assert(sourceStart >= 0 && sourceEnd <= source.length, "The source range lies in the source");
  assert(targetStart >= 0 && targetEnd <= target.length, "The target range lies in the target");
  const targetByte = target.byteOffset + targetStart;
  assert(targetByte % RECORD_ALIGNMENT === 0, "Records are 8-byte aligned");
  const messageCount = Math.max(0, Math.floor((sourceEnd - sourceStart) / state.messageBytes));
  state.stop = "source-done";
  state.sourceNext = sourceStart;
  state.targetNext = targetStart;
  state.records = 0;
  state.accepted = 0;
  state.refused = 0;
  if (state.wantsVerdicts) state.clearVerdicts(messageCount);

  const sourceByte = source.byteOffset + sourceStart;
  if (state.fieldsAreWords && sourceByte % 4 === 0) {
    compactWords(
      state.wordsOfSource(source),
      sourceByte >>> 2,
      messageCount,
      state.wordsOfTarget(target),
      targetByte >>> 2,
      (target.byteOffset + targetEnd) >>> 2,
      state,
    );
  } else {
    for (let message = 0; message < messageCount; message++) {
      copyToScratch(source, sourceStart + message * state.messageBytes, state);
      compactWords(
        state.scratch,
        0,
        1,
        state.wordsOfTarget(target),
        (target.byteOffset + state.targetNext) >>> 2,
        (target.byteOffset + targetEnd) >>> 2,
        state,
      );
      if (state.stop !== "source-done") return;
    }
  }
}

function compactWords(
  words: Int32Array,
  start: number,
  messageCount: number,
  out: Int32Array,
  outStart: number,
  outEnd: number,
  state: CompactState,
): void {
  const { keyspaces, lastWords, wantsVerdicts } = state;
  const keyspaceWords = state.keyspaceWords;
  const fieldsWords = keyspaceWords + state.keyWords;
  const messageWords = INCREMENT_WORDS + fieldsWords;
  const consumedBefore = state.accepted + state.refused;
  let lastNumber = state.lastNumber;
  let lastWordCount = state.lastWordCount;
  let records = 0;
  let refused = 0;
  let message = 0;
  let at = start;
  let next = outStart;

  for (; message < messageCount; message++, at += messageWords) {
    const keyspaceAt = at + INCREMENT_WORDS;
    const keyAt = keyspaceAt + keyspaceWords;
    const end = keyspaceAt + fieldsWords;

    let number = lastNumber;
    let keyspaceLength = 0;
    let difference = 0;
    for (let index = 0; index < lastWordCount; index++) {
      difference |= lastWords[index]! ^ words[keyspaceAt + index]!;
    }
    if (lastNumber < 0 || (difference | anyBit(words, keyspaceAt + lastWordCount, keyAt)) !== 0) {
      number = -1;
      keyspaceLength = nameLength(words, keyspaceAt, keyAt);
      if (keyspaceLength <= 0) {
        if (keyspaceLength === 0) state.refusals.emptyKeyspace++;
        else state.refusals.keyspaceAfterNul++;
        refused++;
        if (wantsVerdicts) refuse(state.verdicts, consumedBefore + message);
        continue;
      }
    }

    const keyLength = nameLength(words, keyAt, end);
    if (keyLength === BROKEN) {
      state.refusals.keyAfterNul++;
      refused++;
      if (wantsVerdicts) refuse(state.verdicts, consumedBefore + message);
      continue;
    }

    const low = words[at]!;
    const high = words[at + 1]!;
    if ((low | high) === 0) continue;

    const keyWordCount = ((keyLength + 7) >>> 3) << 1;
    const after = next + RECORD_HEAD_WORDS + keyWordCount;
    if (number < 0) {
      number = keyspaces.find(words, keyspaceAt, keyspaceLength);
      if (number < 0) {
        const definitionWords = RECORD_HEAD_WORDS + (((keyspaceLength + 7) >>> 3) << 1);
        if (after + definitionWords > outEnd) {
          state.stop = "target-full";
          break;
        }
        if (keyspaces.isFull) {
          state.stop = "keyspaces-full";
          break;
        }
        number = keyspaces.add(words, keyspaceAt, keyspaceLength);
        out[next] = RECORD_KIND_KEYSPACE | (keyspaceLength << NAME_LENGTH_SHIFT);
        out[next + 1] = number;
        out[next + 2] = 0;
        out[next + 3] = 0;
        next = copyName(words, keyspaceAt, keyspaceLength, out, next + RECORD_HEAD_WORDS);
      }
      lastNumber = number;
      lastWordCount = (keyspaceLength + 3) >>> 2;
      for (let index = 0; index < lastWordCount; index++) {
        lastWords[index] = words[keyspaceAt + index]!;
      }
    }
    if (next + RECORD_HEAD_WORDS + keyWordCount > outEnd) {
      state.stop = "target-full";
      break;
    }
    out[next] = RECORD_KIND_COUNTER | (keyLength << NAME_LENGTH_SHIFT);
    out[next + 1] = number;
    out[next + 2] = low;
    out[next + 3] = high;
    next = copyName(words, keyAt, keyLength, out, next + RECORD_HEAD_WORDS);
    records++;
  }

  state.lastNumber = lastNumber;
  state.lastWordCount = lastWordCount;
  state.records += records;
  state.refused += refused;
  state.accepted += message - refused;
  state.sourceNext += message * state.messageBytes;
  state.targetNext += (next - outStart) * 4;
}

/** All words of a range in one OR, eight at a time: most of a message is this loop. */
function anyBit(words: Int32Array, from: number, to: number): number {
  let bits = 0;
  let at = from;
  for (; at + 8 <= to; at += 8) {
    bits |= words[at]! | words[at + 1]! | words[at + 2]! | words[at + 3]! |
      words[at + 4]! | words[at + 5]! | words[at + 6]! | words[at + 7]!;
  }
  for (; at < to; at++) bits |= words[at]!;
  return bits;
}

/** Bytes of the name in a field of whole words, or `BROKEN` where something follows its NUL. */
function nameLength(words: Int32Array, from: number, to: number): number {
  let at = from;
  let word = 0;
  for (; at < to; at++) {
    word = words[at]!;
    // Has this word a zero byte? (The classic test; exact for the question "any".)
    if (((word - 0x01010101) & ~word & 0x80808080) !== 0) break;
  }
  if (at === to) return (to - from) * 4;
  let bytes = 0;
  while ((word & 0xff) !== 0) {
    word >>>= 8;
    bytes++;
  }
  return (word | anyBit(words, at + 1, to)) === 0 ? (at - from) * 4 + bytes : BROKEN;
}

/** Copies a name with the NULs that fill its last eight bytes; returns the word after it. */
function copyName(
  words: Int32Array,
  from: number,
  length: number,
  out: Int32Array,
  to: number,
): number {
  const count = (length + 3) >>> 2;
  for (let index = 0; index < count; index++) out[to + index] = words[from + index]!;
  if ((count & 1) === 0) return to + count;
  out[to + count] = 0;
  return to + count + 1;
}

function refuse(verdicts: Uint8Array, message: number): void {
  verdicts[message >>> 3]! |= 1 << (message & 7);
}

/** One message with each field padded to whole words; the padding of `scratch` is never written. */
function copyToScratch(source: Uint8Array, start: number, state: CompactState): void {
  const { sizes, scratchBytes } = state;
  const keyspaceEnd = INCREMENT_BYTES + sizes.keyspaceSize;
  for (let index = 0; index < keyspaceEnd; index++) scratchBytes[index] = source[start + index]!;
  const keyAt = INCREMENT_BYTES + state.keyspaceWords * 4;
  for (let index = 0; index < sizes.keySize; index++) {
    scratchBytes[keyAt + index] = source[start + keyspaceEnd + index]!;
  }
}

function wordsOver(bytes: Uint8Array, known: Int32Array): Int32Array<ArrayBuffer> {
  const words = known as Int32Array<ArrayBuffer>;
  if (words.buffer === bytes.buffer && words.length > 0) return words;
  return new Int32Array(bytes.buffer as ArrayBuffer, 0, bytes.buffer.byteLength >>> 2);
}
