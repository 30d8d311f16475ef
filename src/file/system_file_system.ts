/** `OpenFileSystem` over a descriptor of the running system. */

import * as ffi from "../../ffi/mod.ts";
import { OsError } from "../../ffi/mod.ts";
import type { FaultPlan } from "./fault.ts";
import type { OpenFileSystem } from "./storage.ts";

export class SystemFileSystem implements OpenFileSystem {
  readonly device: bigint;
  readonly #path: string;
  readonly #fault: FaultPlan | null;
  #descriptor: number;

  constructor(path: string, fault: FaultPlan | null) {
    this.#path = path;
    this.#fault = fault;
    this.#descriptor = ffi.open(path, { directory: true });
    this.device = ffi.fstat(this.#descriptor, path).device;
  }

  sync(): void {
    this.#fault?.fail("sync", this.#path);
    if (this.#descriptor === -1) throw new OsError("syncfs", this.#path, "EBADF");
    ffi.syncfs(this.#descriptor, this.#path);
  }

  close(): void {
    if (this.#descriptor === -1) return;
    ffi.close(this.#descriptor);
    this.#descriptor = -1;
  }

  [Symbol.dispose](): void {
    this.close();
  }
}
