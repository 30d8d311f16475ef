/** What happens to a file. */

import { runProgram, startProgram } from "../support/process.ts";
import { giveToOrdinaryUser, runningAsRoot } from "../support/ordinary_user.ts";
import { fill, mountInMemory, mountOverlay, mountReadOnly } from "./mounted.ts";
import { copyTree } from "./sample.ts";

/** Much more than a copy may take on disk. */
const SPARSE_BYTES = 300 * 2 ** 20;

/** The file that something happens to. */
export interface Target {
  readonly path: string;
  /** Other names of the same file. */
  readonly names: readonly string[];
  readonly isDirectory: boolean;
  readonly folder: string;
  /** The same file in the older sample; may be missing. */
  readonly older: string;
  /** An empty directory on the same file system. */
  readonly aside: string;
  /** The directory of the whole cell. */
  readonly root: string;
}

export interface Event {
  readonly name: string;
  /** A sentence that matches says what happened. */
  readonly words?: RegExp;
  readonly needs?: "root" | "root and strace";
  /** It is about the size, which a directory does not have. */
  readonly isOfSize?: true;
  /** The verb runs as the ordinary user: root may read everything. */
  readonly asOrdinary?: true;
  /** Done first, also if the event comes while a daemon runs. */
  readonly prepare?: (target: Target) => Promise<void> | void;
  readonly happen?: (target: Target, pid: number | null) => Promise<void> | void;
  /** The command line under which the event happens to the file from the start. */
  readonly wrap?: (target: Target, command: readonly string[]) => string[];
}

function remove(path: string): void {
  Deno.removeSync(path, { recursive: true });
}

async function replaceByOlder({ path, older, aside }: Target): Promise<void> {
  remove(path);
  await copyTree(older, `${aside}/older`);
  Deno.renameSync(`${aside}/older`, path);
  // The copy keeps owner and mode of its time.
  const { uid, gid } = Deno.statSync(aside);
  if (runningAsRoot() && uid !== 0) Deno.chownSync(path, uid ?? 0, gid ?? 0);
}

async function replaceByFifo({ path }: Target): Promise<void> {
  remove(path);
  const made = await runProgram(["mkfifo", path]);
  if (made.code !== 0) throw new Error(made.stderr);
}

function replaceBySocket({ path, aside }: Target): void {
  remove(path);
  // The runtime removes the name of a socket that it closes.
  using _listener = Deno.listen({ transport: "unix", path: `${aside}/socket` });
  Deno.renameSync(`${aside}/socket`, path);
}

function replaceByDirectory({ path, isDirectory }: Target): void {
  remove(path);
  if (isDirectory) Deno.writeTextFileSync(path, "a file");
  else Deno.mkdirSync(path);
}

function moveBehindLink({ path, aside }: Target): void {
  Deno.renameSync(path, `${aside}/moved`);
  Deno.symlinkSync(`${aside}/moved`, path);
}

const READS_AND_WRITES =
  "pread64,read,preadv,pwrite64,write,pwritev,fsync,fdatasync,getdents64,fallocate,ftruncate";

/** System calls on the file fail with an errno, as strace makes them. */
function failing(calls: string, errno: string): Pick<Event, "wrap" | "happen" | "needs"> {
  const options = ({ path, names }: Target) => [
    ...["-f", "-q", "-o", "/dev/null"],
    ...["-e", `trace=${calls}`, "-e", `inject=${calls}:error=${errno}`],
    ...[path, ...names].flatMap((name) => ["-P", name]),
  ];
  return {
    needs: "root and strace",
    // The program stays a child of the test: -D makes strace its grandchild.
    wrap: (target, command) => ["strace", "-D", "--seccomp-bpf", ...options(target), ...command],
    async happen(target, pid) {
      if (pid === null) return;
      const tracer = startProgram([
        "strace",
        ...options(target).filter((each) => each !== "-q"),
        "-p",
        `${pid}`,
      ]);
      await tracer.stderrLine(/attached/);
      // It ends with the process that it traces.
      tracer.ended().catch(() => {});
    },
  };
}

export const events: readonly Event[] = [
  { name: "nothing" },
  { name: "removed", happen: ({ path }) => remove(path) },
  { name: "older copy", happen: replaceByOlder },
  {
    name: "truncated",
    isOfSize: true,
    happen: ({ path }) => Deno.truncateSync(path, Math.floor(Deno.statSync(path).size / 2)),
  },
  {
    name: "grown sparse",
    isOfSize: true,
    happen: ({ path }) => Deno.truncateSync(path, SPARSE_BYTES),
  },
  {
    name: "another owner",
    needs: "root",
    asOrdinary: true,
    happen({ path, isDirectory }) {
      Deno.chownSync(path, 0, 0);
      Deno.chmodSync(path, isDirectory ? 0o700 : 0o600);
    },
  },
  { name: "mode 000", asOrdinary: true, happen: ({ path }) => Deno.chmodSync(path, 0) },
  { name: "FIFO", happen: replaceByFifo },
  { name: "socket", happen: replaceBySocket },
  { name: "directory", happen: replaceByDirectory },
  { name: "symbolic link", words: /symbolic link/, happen: moveBehindLink },
  {
    name: "read-only mount",
    words: /read-only|EROFS/,
    needs: "root",
    happen: ({ folder }) => mountReadOnly(folder),
  },
  {
    name: "ENOSPC",
    words: /[Dd]isk (?:is )?full|No space|ENOSPC|disk is full/,
    needs: "root",
    prepare: async ({ folder, aside }) => void await mountInMemory(folder, aside),
    happen: ({ aside }) => fill(`${aside}/disk`),
  },
  {
    name: "EMFILE",
    words: /[Tt]oo many open files|EMFILE/,
    ...failing("openat,open,openat2", "EMFILE"),
  },
  {
    name: "EIO",
    words: /EIO|[Ii]nput\/output|cannot be read/,
    ...failing(READS_AND_WRITES, "EIO"),
  },
  {
    name: "copied up",
    needs: "root",
    prepare: ({ folder, aside }) => mountOverlay(folder, aside),
    happen({ path, isDirectory }) {
      if (isDirectory) Deno.chmodSync(path, 0o700);
      else Deno.openSync(path, { read: true, write: true }).close();
    },
  },
  {
    name: "other file system",
    words: /does not lead to|was (?:removed|moved|replaced)/,
    needs: "root",
    happen: async ({ folder, aside }) => void await mountInMemory(folder, aside),
  },
];

/** Gives the cell to the ordinary user if the verb runs as it. */
export function giveIfOrdinary(event: Event, root: string): void {
  if (event.asOrdinary && runningAsRoot()) giveToOrdinaryUser(root);
}
