/**
 * A storage that calls a function after the nth call that reads the disk (reads, opens, status), in the
 * middle of any work.
 */

import type { Storage, StoredFile } from "../../../src/file/mod.ts";

export class Interruption {
  calls = 0;
  #at = Infinity;
  #happen: () => void = () => {};

  /** Calls `happen` once, after the nth call from now on. */
  after(nth: number, happen: () => void): void {
    this.calls = 0;
    this.#at = nth;
    this.#happen = happen;
  }

  get hasHappened(): boolean {
    return this.calls >= this.#at;
  }

  called(): void {
    this.calls++;
    if (this.calls === this.#at) this.#happen();
  }
}

const watchedOfStorage = new Set(["open", "status", "statusOrNull", "readDirectory"]);
const watchedOfFile = new Set(["read", "map", "status"]);

export function interruptedStorage(storage: Storage, interruption: Interruption): Storage {
  return watched(storage, watchedOfStorage, interruption, (result, name) => {
    return name === "open"
      ? watched(result as StoredFile, watchedOfFile, interruption, (inner) => inner)
      : result;
  });
}

function watched<T extends object>(
  target: T,
  names: ReadonlySet<string>,
  interruption: Interruption,
  change: (result: unknown, name: string) => unknown,
): T {
  return new Proxy(target, {
    get(_, name) {
      const member = Reflect.get(target, name, target);
      if (typeof member !== "function") return member;
      return (...args: unknown[]) => {
        const result = change(member.apply(target, args), String(name));
        if (names.has(String(name))) interruption.called();
        return result;
      };
    },
  });
}
