/**
 * The views of the keyspaces that were asked for last. What they hold is bounded: the least recently used
 * views are closed.
 */

import { byteText } from "../../base/byte_text.ts";
import type { KeyspaceView } from "./keyspace_view.ts";

/** Each needs a descriptor, and pages: 254 MiB in all if each uses what `PageBudget` gives. */
const VIEWS_MAX = 128;
/** Changed keys that all views together hold, at some 150 bytes each. */
const CHANGED_KEYS_MAX = 400_000;
/** Memory of the deltas of all views together, besides those keys. */
const DELTA_BYTES_MAX = 256 * 1024 * 1024;

export class ViewCache implements Disposable {
  readonly #make: (name: Uint8Array) => KeyspaceView;
  /** In the order of their last use. */
  readonly #views = new Map<string, KeyspaceView>();
  #lastName = new Uint8Array(0);
  #lastView: KeyspaceView | null = null;
  #switches = 0;

  constructor(make: (name: Uint8Array) => KeyspaceView) {
    this.#make = make;
  }

  /** How many times a request named a different keyspace than the previous one. */
  get switches(): number {
    return this.#switches;
  }

  /** The view of a keyspace; the name is copied when it is new. */
  get(name: Uint8Array): KeyspaceView {
    if (this.#lastView !== null && sameBytes(name, this.#lastName)) return this.#lastView;
    this.#switches++;
    const key = byteText(name);
    let view = this.#views.get(key);
    if (view !== undefined) {
      this.#views.delete(key);
    } else {
      view = this.#make(name.slice());
    }
    this.#views.set(key, view);
    this.#evictExcess();
    this.#lastName = name.slice();
    this.#lastView = view;
    return view;
  }

  /** Makes each view open its file again if it was removed or replaced. */
  invalidateLost(): void {
    for (const view of this.#views.values()) view.invalidateIfLost();
  }

  #evictExcess(): void {
    if (this.#views.size > VIEWS_MAX) this.#evict((view) => view.isEmpty);
    let changedKeys = 0;
    let deltaBytes = 0;
    for (const view of this.#views.values()) {
      changedKeys += view.changedKeys;
      deltaBytes += view.deltaBytes;
    }
    this.#evict((view) => {
      const isEnough = changedKeys <= CHANGED_KEYS_MAX && deltaBytes <= DELTA_BYTES_MAX;
      if (this.#views.size <= VIEWS_MAX && isEnough) return false;
      changedKeys -= view.changedKeys;
      deltaBytes -= view.deltaBytes;
      return true;
    });
  }

  /** Closes views, the least recently used first; never the one that was asked for last. */
  #evict(isToGo: (view: KeyspaceView) => boolean): void {
    let left = this.#views.size;
    for (const [key, view] of this.#views) {
      if (--left === 0) return;
      if (!isToGo(view)) continue;
      this.#views.delete(key);
      view[Symbol.dispose]();
    }
  }

  [Symbol.dispose](): void {
    for (const view of this.#views.values()) view[Symbol.dispose]();
    this.#views.clear();
    this.#lastView = null;
  }
}

function sameBytes(left: Uint8Array, right: Uint8Array): boolean {
  if (left.length !== right.length) return false;
  for (let index = 0; index < left.length; index++) {
    if (left[index] !== right[index]) return false;
  }
  return true;
}
