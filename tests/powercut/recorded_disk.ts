/**
 * A disk that records itself: `recorded_disk.c` behind a loop device, with a file system on it. All of it
 * is in memory.
 */

import { existsSync } from "@std/fs/exists";
import { type Mapping, systemStorage } from "../../src/file/mod.ts";
import { type CountdProcess, runProgram, startProgram } from "../support/process.ts";
import { runningAsRoot } from "../support/ordinary_user.ts";
import { waitUntil, within } from "../support/wait.ts";

/** The smallest disk that `mkfs.xfs` takes has 300 MiB. It is sparse. */
const DISK_BYTES = 320 * 2 ** 20;

/** Where a run keeps its disks: a file system in memory. */
export const MEMORY = "/dev/shm";

interface FileSystem {
  readonly make: readonly string[];
  readonly options: string;
}

/** Few inodes and a small journal, so that few blocks are written before the recording. */
const makeExt4 = [
  ...["mkfs.ext4", "-q", "-N", "4096", "-J", "size=8"],
  ...["-E", "nodiscard,lazy_itable_init=0,lazy_journal_init=0"],
];

/**
 * The modes in which file systems order data and names differently. A long `commit` keeps names in memory
 * until a sync asks for them.
 */
export const FILE_SYSTEMS = {
  "ext4": { make: makeExt4, options: "data=ordered,commit=300" },
  "ext4-writeback": {
    make: makeExt4,
    options: "data=writeback,noauto_da_alloc,commit=300",
  },
  "ext4-nodelalloc": { make: makeExt4, options: "nodelalloc,noauto_da_alloc,commit=300" },
  "xfs": { make: ["mkfs.xfs", "-q", "-K", "-f"], options: "defaults" },
} as const satisfies Record<string, FileSystem>;

export type FileSystemMode = keyof typeof FILE_SYSTEMS;

const source = decodeURIComponent(new URL("recorded_disk.c", import.meta.url).pathname);

/** Runs a program that has to succeed, and returns what it prints. */
export async function must(...command: string[]): Promise<string> {
  const { code, text, stderr } = await runProgram(command);
  if (code !== 0) throw new Error(`${command.join(" ")}: exit ${code}: ${stderr}`);
  return text.trim();
}

const shell = (script: string) => runProgram(["sh", "-c", script]);

/** What this machine lacks for a run, as a line to print; null if nothing. */
export async function whatIsMissing(): Promise<string | null> {
  if (!runningAsRoot()) return "left to root: a file system of its own";
  const needed: [what: string, test: string][] = [
    ["/dev/fuse", "test -c /dev/fuse"],
    ["loop devices", "test -c /dev/loop-control"],
    [MEMORY, `test -w ${MEMORY}`],
    ["gcc", "command -v gcc"],
    ["libfuse3-dev", "pkg-config --exists fuse3"],
    ["e2fsprogs", "command -v mkfs.ext4"],
    ["xfsprogs", "command -v mkfs.xfs"],
  ];
  const missing: string[] = [];
  for (const [what, test] of needed) if ((await shell(test)).code !== 0) missing.push(what);
  return missing.length === 0 ? null : `not run: needs ${missing.join(", ")}`;
}

/** Compiles the recorder into `directory`, and returns its path. */
export async function buildRecorder(directory: string): Promise<string> {
  const program = `${directory}/recorded_disk`;
  const flags = (await must("pkg-config", "--cflags", "--libs", "fuse3")).split(/\s+/);
  await must("gcc", "-O2", "-Wall", "-Wextra", "-o", program, source, ...flags, "-lpthread");
  return program;
}

/** Gives a file a loop device. */
export async function attachLoop(file: string, ...options: string[]): Promise<string> {
  // Another process may take the free device between the question and the answer.
  for (let attempt = 0;; attempt++) {
    const { code, text, stderr } = await runProgram([
      "losetup",
      "--find",
      "--show",
      ...options,
      file,
    ]);
    if (code === 0) return text.trim();
    if (attempt === 20) throw new Error(`losetup ${file}: ${stderr}`);
  }
}

export async function detachLoop(device: string): Promise<void> {
  await must("losetup", "--detach", device);
}

/** Unmounts; throws if something still uses the mount. */
export async function unmount(place: string): Promise<void> {
  await waitUntil(
    `the end of the use of ${place}`,
    async () => (await runProgram(["umount", place])).code === 0,
    { deadlineMs: 10_000, everyMs: 50 },
  );
}

/** Mounts a device as the mode says. Returns what mount says if it refuses, else null. */
export async function mountDevice(
  device: string,
  place: string,
  mode: FileSystemMode,
): Promise<string | null> {
  const options = FILE_SYSTEMS[mode].options;
  const { code, stderr } = await runProgram(["mount", "-o", options, device, place]);
  return code === 0 ? null : stderr;
}

export interface DiskOptions {
  /** A directory in memory that is the disk's alone. */
  readonly directory: string;
  readonly recorder: string;
  readonly mode: FileSystemMode;
  /** How long a flush may last. The longer, the more writes are under way at a cut. */
  readonly flushDelayMaxMs: number;
}

export class RecordedDisk implements AsyncDisposable {
  readonly #counter: Mapping;
  readonly #view: DataView;
  #writeBack: CountdProcess | null = null;
  #isMounted = false;
  #device: string | null = null;

  private constructor(readonly options: DiskOptions, readonly process: CountdProcess) {
    using file = systemStorage().open(`${options.directory}/counter`, { access: "read" });
    this.#counter = file.map(4096, "read");
    const { buffer, byteOffset } = this.#counter.bytes;
    this.#view = new DataView(buffer, byteOffset, 8);
  }

  /** Mounts the disk whose bytes are `image` in the directory, or a new one with a new file system. */
  static async make(options: DiskOptions): Promise<RecordedDisk> {
    const { directory, recorder, mode, flushDelayMaxMs } = options;
    for (const name of ["fuse", "mount"]) Deno.mkdirSync(`${directory}/${name}`);
    const isNew = !existsSync(`${directory}/image`);
    if (isNew) {
      Deno.writeFileSync(`${directory}/image`, new Uint8Array());
      Deno.truncateSync(`${directory}/image`, DISK_BYTES);
    }
    const process = startProgram([
      recorder,
      "record",
      `${directory}/image`,
      `${directory}/events`,
      `${directory}/counter`,
      `${directory}/fuse`,
      String(flushDelayMaxMs * 1000),
    ]);
    try {
      await process.stdoutLine(/^ready$/);
      const disk = new RecordedDisk(options, process);
      disk.#device = await attachLoop(`${directory}/fuse/disk.img`, "--direct-io=on");
      if (isNew) await must(...FILE_SYSTEMS[mode].make, disk.#device);
      const refusal = await mountDevice(disk.#device, disk.place, mode);
      if (refusal !== null) throw new Error(refusal);
      disk.#isMounted = true;
      if (isNew) await must("sync", "-f", disk.place);
      return disk;
    } catch (error) {
      await process[Symbol.asyncDispose]();
      throw error;
    }
  }

  /** Where the file system is mounted. */
  get place(): string {
    return `${this.options.directory}/mount`;
  }

  /** The number of the newest event. What a process has seen until now rests on events up to it. */
  get now(): number {
    return Number(this.#view.getBigUint64(0, true));
  }

  /** From now on dirty pages are written at random moments, too. */
  startWriteBack(seed: number): void {
    const { recorder } = this.options;
    this.#writeBack = startProgram([recorder, "write-back", this.place, String(seed)]);
  }

  /** Ends the recording, and leaves the file of its events. */
  async finish(): Promise<void> {
    await this.#writeBack?.[Symbol.asyncDispose]();
    this.#writeBack = null;
    if (this.#isMounted) await unmount(this.place);
    this.#isMounted = false;
    if (this.#device !== null) await detachLoop(this.#device);
    this.#device = null;
    this.process.signal("SIGTERM");
    const { code, stderr } = await this.process.ended();
    if (code !== 0) throw new Error(`The recorder ended with ${code}: ${stderr}`);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    try {
      await within("the end of the disk", this.finish(), { deadlineMs: 30_000 });
    } finally {
      await runProgram(["umount", "-l", this.place]);
      await this.process[Symbol.asyncDispose]();
      await runProgram(["umount", "-l", `${this.options.directory}/fuse`]);
      this.#counter[Symbol.dispose]();
    }
  }
}
