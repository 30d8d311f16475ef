/**
 * From the socket to the commit log: checks whole write messages, a run of them at a time, and writes them
 * as compact records into a frame. This is the hottest loop of the write path. So it reads and writes
 * 32-bit words, allocates nothing for a message, and looks a keyspace up only if it differs from that of
 * the message before.
 *
 * Invariants:
 * 1. A message is either consumed whole (accepted or refused) or not at all.
 * 2. The target between its start and `targetNext` is a run of whole records. Together with what was
 *    written since `beginBatch` it is a record batch.
 * 3. Bytes of the target from `targetNext` on do not change.
 */

import { assert } from "../../base/assert.ts";
import { BatchKeyspaces } from "./batch_keyspaces.ts";
import { BROKEN_FIELD, fieldNameLength } from "./field.ts";
import {
  checkSizes,
  INCREMENT_BYTES,
  type MessageSizes,
  writeMessageBytes,
} from "./message_sizes.ts";
import {
  RECORD_ALIGNMENT,
  RECORD_INCREMENT_WORD,
  RECORD_KEYSPACE_WORD,
  RECORD_KIND_COUNTER,
  RECORD_KIND_KEYSPACE,
  RECORD_NAME_LENGTH_SHIFT,
  RECORD_NAME_WORD,
} from "./record.ts";
import { FIELD_BROKEN, FIELD_SAME, MessageScanner } from "./scan_messages.ts";

const INCREMENT_WORDS = INCREMENT_BYTES / 4;
const KEYSPACE_WORD = RECORD_KEYSPACE_WORD;
const INCREMENT_WORD = RECORD_INCREMENT_WORD;
const NAME_WORD = RECORD_NAME_WORD;
const NAME_LENGTH_SHIFT = RECORD_NAME_LENGTH_SHIFT;

/** Why `compactMessages` returned. */
export type CompactStop =
  /** Every whole message of the source is consumed. */
  | "source-done"
  /** The next record does not fit the target. */
  | "target-full"
  /** The batch defines as many keyspaces as it may: begin another batch. */
  | "keyspaces-full";

/**
 * Decides which keyspaces come into the logs. It is asked once for each keyspace of a batch. Names are valid
 * during the call.
 */
export interface KeyspaceGate {
  /** If true, the keyspace is known from now on. */
  admits(name: Uint8Array): boolean;
  /**
   * Admits all of these keyspaces, or none. Returns the index of the first that may not come in, or −1; then it
   * adds to `admitted` what `withdraw` wants to know of those that were not known.
   */
  firstRefused(names: readonly Uint8Array[], admitted: string[]): number;
  /** Takes back admissions: nothing of these keyspaces comes. */
  withdraw(admitted: readonly string[]): void;
}

/**
 * Input and output of `compactMessages` besides the bytes, and its state of the current batch. One for each
 * log that is being filled.
 */
export class CompactState {
  readonly sizes: MessageSizes;
  readonly messageBytes: number;

  /** In: fill `verdicts`. */
  wantsVerdicts = false;

  // Out, for the last call.
  stop: CompactStop = "source-done";
  sourceNext = 0;
  targetNext = 0;
  /** Counter records written. A zero increment is accepted without one. */
  records = 0;
  accepted = 0;
  refused = 0;
  /** A bit for each consumed message, in order; set if it was refused. */
  verdicts: Uint8Array<ArrayBuffer> = new Uint8Array(0);

  /** How many messages were refused for each reason, since the state was made. */
  readonly refusals = {
    emptyKeyspace: 0,
    keyspaceAfterNul: 0,
    keyAfterNul: 0,
    tooManyKeyspaces: 0,
  };

  /** @internal Null admits all. */
  readonly gate: KeyspaceGate | null;
  /** @internal Keyspaces defined in this batch. */
  readonly keyspaces = new BatchKeyspaces();
  /** @internal */
  readonly run: MessageRun;

  #wordsOfTarget = new Int32Array(0);

  constructor(sizes: MessageSizes, gate: KeyspaceGate | null = null) {
    checkSizes(sizes);
    this.gate = gate;
    assert(new Uint8Array(new Uint32Array([1]).buffer)[0] === 1, "Words are little-endian");
    this.sizes = sizes;
    this.messageBytes = writeMessageBytes(sizes);
    this.run = MessageScanner.fits(sizes) ? new ScannedRun(sizes) : new PlainRun(sizes);
  }

  /** Clears the keyspaces: the next record begins a new batch. */
  beginBatch(): void {
    this.keyspaces.clear();
  }

  /** @internal Words over the whole buffer behind `target`; made once for each buffer. */
  wordsOfTarget(target: Uint8Array): Int32Array {
    return this.#wordsOfTarget = wordsOver(target, this.#wordsOfTarget);
  }

  /** @internal Makes `count` verdicts, all accepted. */
  clearVerdicts(count: number): void {
    const size = (count + 7) >>> 3;
    if (this.verdicts.length < size) this.verdicts = new Uint8Array(size);
    else this.verdicts.fill(0, 0, size);
  }
}

/** Messages that are scanned together: the place of their words, and the results for their fields. */
interface MessageRun {
  readonly messagesMax: number;
  readonly words: Int32Array;
  /** The first message in `words`; the next follows after `messageWords`, its key after `keyWord`. */
  readonly start: number;
  readonly messageWords: number;
  readonly keyWord: number;
  /** Two for each message: a length, `FIELD_BROKEN` or `FIELD_SAME`. */
  readonly fields: Uint16Array;
  take(source: Uint8Array, at: number, count: number): void;
}

/** For fields of whole blocks of 16 bytes, such as the default ones. */
class ScannedRun implements MessageRun {
  readonly #scanner = MessageScanner.get();
  readonly #sizes: MessageSizes;
  readonly messagesMax: number;
  readonly words = this.#scanner.words;
  readonly fields = this.#scanner.fields;
  readonly start = MessageScanner.MESSAGES_WORD;
  readonly messageWords: number;
  readonly keyWord: number;

  constructor(sizes: MessageSizes) {
    this.#sizes = sizes;
    this.messagesMax = MessageScanner.runMessages(sizes);
    this.messageWords = writeMessageBytes(sizes) / 4;
    this.keyWord = INCREMENT_WORDS + sizes.keyspaceSize / 4;
  }

  take(source: Uint8Array, at: number, count: number): void {
    this.#scanner.scan(source, at, count, this.#sizes);
  }
}

/** For fields of any size: one message at a time, with its fields padded to words. */
class PlainRun implements MessageRun {
  readonly #sizes: MessageSizes;
  readonly messagesMax = 1;
  readonly start = 0;
  readonly words: Int32Array;
  readonly fields = new Uint16Array(2);
  readonly messageWords: number;
  readonly keyWord: number;
  readonly #bytes: Uint8Array;

  constructor(sizes: MessageSizes) {
    this.#sizes = sizes;
    this.keyWord = INCREMENT_WORDS + ((sizes.keyspaceSize + 3) >>> 2);
    this.messageWords = this.keyWord + ((sizes.keySize + 3) >>> 2);
    this.words = new Int32Array(this.messageWords);
    this.#bytes = new Uint8Array(this.words.buffer);
  }

  /** The padding is never written. */
  take(source: Uint8Array, at: number, count: number): void {
    assert(count === 1, "A plain run is one message");
    const keyspaceAt = at + INCREMENT_BYTES;
    const keyAt = keyspaceAt + this.#sizes.keyspaceSize;
    const end = keyAt + this.#sizes.keySize;
    this.#bytes.set(source.subarray(at, keyAt));
    this.#bytes.set(source.subarray(keyAt, end), this.keyWord * 4);
    this.fields[0] = fieldSays(fieldNameLength(source, keyspaceAt, keyAt));
    this.fields[1] = fieldSays(fieldNameLength(source, keyAt, end));
  }
}

function fieldSays(length: number): number {
  return length === BROKEN_FIELD ? FIELD_BROKEN : length;
}

/**
 * Consumes whole messages from `source[sourceStart … sourceEnd)` and writes their records, with the
 * definitions of keyspaces that are new to the batch, to `target[targetStart … targetEnd)`. The target
 * is 8-byte aligned. Results are fields of `state`.
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

  const out = state.wordsOfTarget(target);
  const outEnd = (target.byteOffset + targetEnd) >>> 2;
  for (let done = 0; done < messageCount && state.stop === "source-done";) {
    const count = Math.min(state.run.messagesMax, messageCount - done);
    state.run.take(source, state.sourceNext, count);
    compactRun(count, out, (target.byteOffset + state.targetNext) >>> 2, outEnd, state);
    done += count;
  }
}

/** Writes records for the messages of the current run, as far as they fit. */
function compactRun(
  messageCount: number,
  out: Int32Array,
  outStart: number,
  outEnd: number,
  state: CompactState,
): void {
  const { keyspaces, wantsVerdicts, run } = state;
  const { words, fields, messageWords, keyWord } = run;
  const consumedBefore = state.accepted + state.refused;
  let records = 0;
  let refused = 0;
  let message = 0;
  let at = run.start;
  let next = outStart;
  /** Of the current keyspace field: its length, and its number in this batch, or −1 if unknown. */
  let keyspaceLength = 0;
  let number = -1;

  for (; message < messageCount; message++, at += messageWords) {
    const keyspaceField = fields[2 * message]!;
    const keyLength = fields[2 * message + 1]!;
    if (keyspaceField !== FIELD_SAME) {
      keyspaceLength = keyspaceField;
      number = -1;
    }
    if (keyspaceLength === 0 || keyspaceLength === FIELD_BROKEN || keyLength === FIELD_BROKEN) {
      if (keyspaceLength === 0) state.refusals.emptyKeyspace++;
      else if (keyspaceLength === FIELD_BROKEN) state.refusals.keyspaceAfterNul++;
      else state.refusals.keyAfterNul++;
      refused++;
      if (wantsVerdicts) refuse(state.verdicts, consumedBefore + message);
      continue;
    }

    const low = words[at]!;
    const high = words[at + 1]!;
    if ((low | high) === 0) continue;

    const keyAt = at + keyWord;
    const keyWordCount = ((keyLength + 7) >>> 3) << 1;
    if (number < 0) number = keyspaces.find(words, at + INCREMENT_WORDS, keyspaceLength);
    if (number < 0 && !isAdmitted(state.gate, words, at + INCREMENT_WORDS, keyspaceLength)) {
      state.refusals.tooManyKeyspaces++;
      refused++;
      if (wantsVerdicts) refuse(state.verdicts, consumedBefore + message);
      continue;
    }
    if (number < 0) {
      const definitionWords = NAME_WORD + (((keyspaceLength + 7) >>> 3) << 1);
      if (next + definitionWords + NAME_WORD + keyWordCount > outEnd) {
        state.stop = "target-full";
        break;
      }
      if (keyspaces.isFull) {
        state.stop = "keyspaces-full";
        break;
      }
      number = keyspaces.add(words, at + INCREMENT_WORDS, keyspaceLength);
      out[next] = RECORD_KIND_KEYSPACE | (keyspaceLength << NAME_LENGTH_SHIFT);
      out[next + KEYSPACE_WORD] = number;
      out[next + INCREMENT_WORD] = out[next + INCREMENT_WORD + 1] = 0;
      next += NAME_WORD;
      next = copyName(words, at + INCREMENT_WORDS, keyspaceLength, out, next);
    }
    if (next + NAME_WORD + keyWordCount > outEnd) {
      state.stop = "target-full";
      break;
    }
    out[next] = RECORD_KIND_COUNTER | (keyLength << NAME_LENGTH_SHIFT);
    out[next + KEYSPACE_WORD] = number;
    out[next + INCREMENT_WORD] = low;
    out[next + INCREMENT_WORD + 1] = high;
    next = copyName(words, keyAt, keyLength, out, next + NAME_WORD);
    records++;
  }

  state.records += records;
  state.refused += refused;
  state.accepted += message - refused;
  state.sourceNext += message * state.messageBytes;
  state.targetNext += (next - outStart) * 4;
}

function isAdmitted(
  gate: KeyspaceGate | null,
  words: Int32Array,
  start: number,
  length: number,
): boolean {
  return gate === null ||
    gate.admits(new Uint8Array(words.buffer, words.byteOffset + start * 4, length));
}

/** Copies a name, padded with NUL to eight bytes; returns the index of the word after it. */
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

function wordsOver(bytes: Uint8Array, known: Int32Array): Int32Array<ArrayBuffer> {
  const words = known as Int32Array<ArrayBuffer>;
  if (words.buffer === bytes.buffer && words.length > 0) return words;
  return new Int32Array(bytes.buffer as ArrayBuffer, 0, bytes.buffer.byteLength >>> 2);
}
