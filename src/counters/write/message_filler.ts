/**
 * Turns write messages into a record batch, straight into the frame of a log. One filler serves all
 * connections of a writer, because appends never overlap.
 */

import type { BatchFiller } from "../commitlog/mod.ts";
import {
  compactMessages,
  CompactState,
  type KeyspaceGate,
  type MessageSizes,
} from "../wire/mod.ts";

export class MessageFiller implements BatchFiller {
  readonly #state: CompactState;
  #source = new Uint8Array(0);
  #next = 0;
  #end = 0;
  /** The refusals before the last `fill`. */
  readonly #refusalsBefore = {
    emptyKeyspace: 0,
    keyspaceAfterNul: 0,
    keyAfterNul: 0,
    tooManyKeyspaces: 0,
  };

  /** Numbers of messages since `begin`. */
  accepted = 0;
  refused = 0;

  constructor(sizes: MessageSizes, gate: KeyspaceGate | null = null) {
    this.#state = new CompactState(sizes, gate);
  }

  /** Sets the source: the whole messages of `source[start … end)`. */
  begin(source: Uint8Array<ArrayBuffer>, start: number, end: number): void {
    this.#source = source;
    this.#next = start;
    this.#end = end;
    this.accepted = 0;
    this.refused = 0;
  }

  /** First byte of the source that is not consumed. */
  get next(): number {
    return this.#next;
  }

  get isDone(): boolean {
    return this.#state.stop === "source-done";
  }

  /** Why messages were refused, since the start. */
  get refusals(): Refusals {
    return this.#state.refusals;
  }

  /** Verdict bits of the messages that the last `fill` consumed, when they are wanted. */
  get verdicts(): Uint8Array {
    return this.#state.verdicts;
  }

  get lastConsumed(): number {
    return this.#state.accepted + this.#state.refused;
  }

  set wantsVerdicts(wanted: boolean) {
    this.#state.wantsVerdicts = wanted;
  }

  get filledRecords(): number {
    return this.#state.records;
  }

  fill(log: Uint8Array, start: number, end: number): number {
    const state = this.#state;
    copyRefusals(state.refusals, this.#refusalsBefore);
    state.beginBatch();
    compactMessages(this.#source, this.#next, this.#end, log, start, end, state);
    this.#next = state.sourceNext;
    this.accepted += state.accepted;
    this.refused += state.refused;
    // Definitions without a record would be an empty batch.
    return state.records === 0 ? start : state.targetNext;
  }

  rollBack(): void {
    const state = this.#state;
    this.#next -= this.lastConsumed * state.messageBytes;
    this.accepted -= state.accepted;
    this.refused -= state.refused;
    copyRefusals(this.#refusalsBefore, state.refusals);
  }
}

type Refusals = CompactState["refusals"];

/** Field by field: it is done for every frame. */
function copyRefusals(from: Refusals, to: Refusals): void {
  to.emptyKeyspace = from.emptyKeyspace;
  to.keyspaceAfterNul = from.keyspaceAfterNul;
  to.keyAfterNul = from.keyAfterNul;
  to.tooManyKeyspaces = from.tooManyKeyspaces;
}
