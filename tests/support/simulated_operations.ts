/** The calls on a simulated disk, as its observer sees them. */

/** Calls that change, or make durable, what a power cut can take away. */
export const persistenceKinds = [
  "create",
  "write",
  "allocate",
  "deallocate",
  "truncate",
  "chmod",
  "link",
  "unlink",
  "rename",
  "make directory",
  "remove directory",
  "sync data",
  "sync data async",
  "sync",
  "flush",
  "sync directory",
  "sync file system",
  "reach",
] as const;

/** Calls that matter only with a fault. */
export const otherKinds = ["open", "read", "status", "read directory", "map", "lock"] as const;

export type OperationKind = typeof persistenceKinds[number] | typeof otherKinds[number];

/** The system call of an operation, for errors; operations that are missing here have its name. */
const syscalls: Readonly<Partial<Record<OperationKind, string>>> = {
  create: "open",
  allocate: "posix_fallocate",
  "sync data": "fdatasync",
  "sync data async": "fdatasync",
  sync: "fsync",
  flush: "msync",
  "sync directory": "fsync",
  "sync file system": "syncfs",
};

export function syscallOf(kind: OperationKind): string {
  return syscalls[kind] ?? kind;
}

export interface DiskEvent {
  /** Number of the persistence operation on this disk, from 0; −1 for the other kinds. */
  readonly index: number;
  readonly when: "before" | "after";
  readonly kind: OperationKind;
  readonly process: string;
  readonly path: string;
  /** Name of the point for `reach`. */
  readonly point: string | null;
}
