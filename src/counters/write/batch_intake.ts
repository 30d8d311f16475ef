/**
 * Takes the batches of one connection: judges each, and copies the good ones into frames, one frame for a
 * batch. The order of numbers and the answers are those of the state table in the README of `wire`.
 *
 * Invariants:
 *  1. A batch is taken whole, or refused whole, or not consumed.
 *  2. What is answered, and what is expected next, follows from what is consumed: a roll back changes all.
 */

import type { BatchFiller } from "../commitlog/mod.ts";
import {
  BATCH_ANSWER_BYTES,
  BATCH_HEAD_BYTES,
  type BatchAnswer,
  BatchCheck,
  batchChecksum,
  BatchHead,
  batchStatuses,
  encodeBatchAnswer,
  type HelloTerms,
  type KeyspaceGate,
  type ReceiveBuffer,
  RECORD_NAME_LENGTH_SHIFT,
  RECORD_NAME_WORD,
} from "../wire/mod.ts";

/** Batches that are judged, and about as many keyspaces that are asked for, before the clock is read. */
const BATCHES_AT_ONCE = 64;
const DEFINITIONS_AT_ONCE = 512;

/** Why no more batches were taken. */
export type IntakeStop =
  /** The next batch is not whole yet: it needs `wantedBytes`. */
  | "input"
  /** The next batch does not fit the frame, or the log. */
  | "full"
  /** Enough for one time. */
  | "pause"
  /** The connection ends, after its last answers. */
  | "ended";

/** What follows from the batches that are consumed. */
interface Progress {
  /** First byte of the input that is not consumed. */
  at: number;
  /** The number of the next batch that can be taken. */
  expected: number;
  /** After a refusal, the number that came last; else 0. */
  refusedTo: number;
  taken: number;
  takenRecords: number;
  refused: number;
  refusedRecords: number;
  /** How many answers there are, and how many keyspaces that were admitted. */
  answers: number;
  admitted: number;
}

export class BatchIntake implements BatchFiller {
  readonly framesMax = BATCHES_AT_ONCE;
  filledRecords = 0;
  stop: IntakeStop = "input";
  /** Bytes that the next batch needs, as far as they are known. */
  wantedBytes = BATCH_HEAD_BYTES;
  readonly #head: BatchHead;
  readonly #check: BatchCheck;
  readonly #gate: KeyspaceGate | null;
  #input: ReceiveBuffer | null = null;
  #bytes = new Uint8Array(0);
  #view = new DataView(this.#bytes.buffer);
  #words = new Int32Array(0);
  #now: Progress = {
    at: 0,
    expected: 1,
    refusedTo: 0,
    taken: 0,
    takenRecords: 0,
    refused: 0,
    refusedRecords: 0,
    answers: 0,
    admitted: 0,
  };
  /** What was before each fill since `begin` that made a frame. */
  #before: Progress[] = [];
  readonly #answers: BatchAnswer[] = [];
  /** What the gate admitted since `begin`. */
  readonly #admitted: string[] = [];
  #judged = 0;
  #defined = 0;

  constructor({ sizes, batchBytes }: HelloTerms, gate: KeyspaceGate | null) {
    this.#head = new BatchHead(batchBytes);
    this.#check = new BatchCheck(sizes);
    this.#gate = gate;
  }

  /** Sets the source of the next append. */
  begin(input: ReceiveBuffer): void {
    if (this.#input !== input) {
      this.#input = input;
      this.#bytes = input.bytes;
      const { buffer, byteOffset, byteLength } = input.bytes;
      this.#view = new DataView(buffer, byteOffset, byteLength);
      this.#words = new Int32Array(buffer, byteOffset, byteLength >>> 2);
    }
    const { expected, refusedTo } = this.#now;
    this.#now = { ...this.#now, at: input.start, expected, refusedTo };
    this.#now.taken =
      this.#now.takenRecords =
      this.#now.refused =
      this.#now.refusedRecords =
        0;
    this.#now.answers = this.#answers.length = 0;
    this.#now.admitted = this.#admitted.length = 0;
    this.#before = [];
    this.#judged = this.#defined = 0;
    // If the log takes nothing now, `fill` is not called.
    this.stop = "full";
  }

  /** What was consumed since `begin`: batches and their increments. */
  get counts(): Readonly<Progress> {
    return this.#now;
  }

  fill(frame: Uint8Array, start: number, end: number): number {
    const before = { ...this.#now };
    while (this.#judged < BATCHES_AT_ONCE && this.#defined < DEFINITIONS_AT_ONCE) {
      const now = this.#now;
      const head = this.#head;
      const inputEnd = this.#input!.end;
      this.stop = "input";
      this.wantedBytes = BATCH_HEAD_BYTES;
      if (inputEnd - now.at < BATCH_HEAD_BYTES) return start;
      const reason = head.read(this.#view, now.at);
      if (reason !== 0) return this.#end(batchStatuses.badHead, { reason }, start);
      this.wantedBytes += head.bytes;
      const bodyStart = now.at + BATCH_HEAD_BYTES;
      const bodyEnd = bodyStart + head.bytes;
      if (inputEnd < bodyEnd) return start;
      this.stop = "full";
      if (start + head.bytes > end) return start;
      if (batchChecksum(this.#bytes, now.at, bodyEnd) !== head.checksum) {
        return this.#end(batchStatuses.badChecksum, {}, start);
      }
      this.#judged++;
      if (!this.#isNext(head.sequence)) {
        return this.#end(batchStatuses.gap, { detail: now.expected }, start);
      }
      const isTaken = this.#judge(bodyStart, bodyEnd);
      now.at = bodyEnd;
      if (!isTaken || head.bytes === 0) continue;
      frame.set(this.#bytes.subarray(bodyStart, bodyEnd), start);
      this.filledRecords = head.records;
      this.#before.push(before);
      return start + head.bytes;
    }
    this.stop = "pause";
    return start;
  }

  rollBack(kept: number): void {
    const before = this.#before[kept];
    if (before === undefined) return;
    this.#now = before;
    this.#answers.length = before.answers;
    this.#gate?.withdraw(this.#admitted.splice(before.admitted));
    this.#before.length = kept;
    this.stop = "full";
  }

  /** The answers to what was consumed since `begin`; null if there are none. */
  encodeAnswers(): Uint8Array<ArrayBuffer> | null {
    const answers = this.#answers.filter(({ status }, index) =>
      status !== batchStatuses.taken || this.#answers[index + 1]?.status !== batchStatuses.taken
    );
    if (answers.length === 0) return null;
    const bytes = new Uint8Array(answers.length * BATCH_ANSWER_BYTES);
    const view = new DataView(bytes.buffer);
    for (const [index, answer] of answers.entries()) {
      encodeBatchAnswer(view, index * BATCH_ANSWER_BYTES, answer);
    }
    return bytes;
  }

  #isNext(sequence: number): boolean {
    const { expected, refusedTo } = this.#now;
    return sequence === expected || refusedTo > 0 && sequence === refusedTo + 1;
  }

  /** Answers the batch of the current head, which is the next one; true if it is taken. */
  #judge(bodyStart: number, bodyEnd: number): boolean {
    const { sequence, records, isCommand } = this.#head;
    const { expected } = this.#now;
    if (sequence !== expected) return this.#refuse(batchStatuses.afterRefusal, 0, expected);
    if (isCommand) {
      const kind = bodyStart === bodyEnd ? 0 : this.#bytes[bodyStart]!;
      return this.#refuse(batchStatuses.commandNotTaken, 0, kind);
    }
    const check = this.#check;
    if (!check.isGood(this.#words, bodyStart >>> 2, bodyEnd >>> 2, records)) {
      return this.#refuse(batchStatuses.badRecord, check.reason, check.index);
    }
    this.#defined += check.definitions;
    const definition = this.#firstNotAdmitted();
    if (definition >= 0) {
      const index = check.definitionIndex[definition]!;
      return this.#refuse(batchStatuses.tooManyKeyspaces, 0, index);
    }
    const now = this.#now;
    now.taken++;
    now.takenRecords += records;
    now.expected = sequence + 1;
    now.refusedTo = 0;
    this.#answer({ sequence, status: batchStatuses.taken, reason: 0, detail: 0 });
    return true;
  }

  /** The first keyspace of the batch that may not come in, or −1; then none that is new becomes known. */
  #firstNotAdmitted(): number {
    const gate = this.#gate;
    if (gate === null) return -1;
    const names: Uint8Array[] = [];
    for (let definition = 0; definition < this.#check.definitions; definition++) {
      names.push(this.#definedName(definition));
    }
    const refused = gate.firstRefused(names, this.#admitted);
    this.#now.admitted = this.#admitted.length;
    return refused;
  }

  #definedName(definition: number): Uint8Array {
    const word = this.#check.definitionAt[definition]!;
    const at = (word + RECORD_NAME_WORD) * 4;
    return this.#bytes.subarray(at, at + (this.#words[word]! >>> RECORD_NAME_LENGTH_SHIFT));
  }

  #refuse(status: number, reason: number, detail: number): false {
    const { sequence, records } = this.#head;
    const now = this.#now;
    now.refused++;
    now.refusedRecords += records;
    now.refusedTo = sequence;
    this.#answer({ sequence, status, reason, detail });
    return false;
  }

  #end(
    status: number,
    { reason = 0, detail = 0 }: { readonly reason?: number; readonly detail?: number },
    start: number,
  ): number {
    this.stop = "ended";
    const { sequence } = this.#head;
    // A greater one is not exact here, and is refused for that.
    this.#answer({ sequence: Math.min(sequence, Number.MAX_SAFE_INTEGER), status, reason, detail });
    return start;
  }

  #answer(answer: BatchAnswer): void {
    this.#answers.push(answer);
    this.#now.answers = this.#answers.length;
  }
}
