/**
 * The views of the keyspaces that were asked for last. What they hold is bounded: those that nobody has
 * asked for longest make room.
 */

import type { KeyspaceView } from "./keyspace_view.ts";

/** A descriptor each, and pages: 254 MiB when all are as large as `PageBudget` lets them. */
const VIEWS_MAX = 128;
/** Changed keys that all views together hold, at some 150 bytes each. */
const CHANGED_KEYS_MAX = 400_000;
/** What the shares of all views together hold beside them. */
const SHARE_BYTES_MAX = 256 * 1024 * 1024;

export class ViewCache implements Disposable {
  readonly #make: (name: Uint8Array) => KeyspaceView;
  /** The one that was asked for last stands last. */
  readonly #views = new Map<string, KeyspaceView>();
  #lastName = new Uint8Array(0);
  #lastView: KeyspaceView | null = null;
  #switches = 0;

  constructor(make: (name: Uint8Array) => KeyspaceView) {
    this.#make = make;
  }

  /** How often another keyspace was asked for than the time before. */
  get switches(): number {
    return this.#switches;
  }

  /** The view of a keyspace; the name is copied when it is new. */
  get(name: Uint8Array): KeyspaceView {
    if (this.#lastView !== null && sameBytes(name, this.#lastName)) return this.#lastView;
    this.#switches++;
    const key = String.fromCharCode(...name);
    let view = this.#views.get(key);
    if (view !== undefined) {
      this.#views.delete(key);
    } else {
      view = this.#make(name.slice());
    }
    this.#views.set(key, view);
    this.#makeRoom();
    this.#lastName = name.slice();
    this.#lastView = view;
    return view;
  }

  #makeRoom(): void {
    if (this.#views.size > VIEWS_MAX) this.#evict((view) => view.isEmpty);
    let changedKeys = 0;
    let shareBytes = 0;
    for (const view of this.#views.values()) {
      changedKeys += view.changedKeys;
      shareBytes += view.shareBytes;
    }
    this.#evict((view) => {
      const isEnough = changedKeys <= CHANGED_KEYS_MAX && shareBytes <= SHARE_BYTES_MAX;
      if (this.#views.size <= VIEWS_MAX && isEnough) return false;
      changedKeys -= view.changedKeys;
      shareBytes -= view.shareBytes;
      return true;
    });
  }

  /** Closes views, the longest unused first; never the one that was asked for last. */
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
