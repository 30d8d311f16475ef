/** The file system under a directory, from `/proc/self/mountinfo`. */
import type { Storage } from "../file/mod.ts";

export interface Mount {
  readonly mountPoint: string;
  /** Type as the kernel names it: `ext4`, `nfs4`, `fuse.sshfs`. */
  readonly type: string;
  /** Options of the mount and of the file system, such as `ro` or `noatime`. */
  readonly options: readonly string[];
}

/** Bytes of `/proc/self/mountinfo` that are read at most. */
const MOUNTINFO_BYTES_MAX = 4 * 2 ** 20;

/** The mount that holds an absolute path without symbolic links; null if the system does not tell. */
export function mountOf(storage: Storage, path: string): Mount | null {
  const text = readKernelFile(storage, "/proc/self/mountinfo", MOUNTINFO_BYTES_MAX);
  return text === null ? null : findMount(parseMountinfo(text), path);
}

/** The text of a file of `/proc` (its size is not known before); null if it does not exist. */
export function readKernelFile(storage: Storage, path: string, bytesMax: number): string | null {
  if (storage.statusOrNull(path) === null) return null;
  using file = storage.open(path, { access: "read" });
  const bytes = new Uint8Array(bytesMax);
  return new TextDecoder().decode(bytes.subarray(0, file.read(bytes, 0)));
}

/** One mount a line, in the order in which they were mounted. See proc_pid_mountinfo(5). */
export function parseMountinfo(text: string): Mount[] {
  return text.split("\n").flatMap((line) => {
    const separator = line.indexOf(" - ");
    if (separator < 0) return [];
    const before = line.slice(0, separator).split(" ");
    const [type = "", , superOptions = ""] = line.slice(separator + 3).split(" ");
    const [, , , , mountPoint = "", mountOptions = ""] = before;
    const options = [...mountOptions.split(","), ...superOptions.split(",")];
    return [{ mountPoint: unescapeOctal(mountPoint), type, options }];
  });
}

/** The longest mount point above the path; of equal ones the last, which hides the others. */
export function findMount(mounts: readonly Mount[], path: string): Mount | null {
  const above = mounts.filter(({ mountPoint }) =>
    `${path}/`.startsWith(mountPoint === "/" ? "/" : `${mountPoint}/`)
  );
  const longest = Math.max(...above.map(({ mountPoint }) => mountPoint.length));
  return above.findLast(({ mountPoint }) => mountPoint.length === longest) ?? null;
}

/** What a file system means for data that must survive. */
export type FileSystemVerdict = "good" | "volatile" | "network" | "unknown";

const GOOD = /^(ext[34]|xfs|btrfs|zfs|f2fs|bcachefs|jfs)$/;
const VOLATILE = /^(tmpfs|ramfs|rootfs|hugetlbfs)$/;
const NETWORK = new RegExp(
  "^(fuse(blk)?\\.)?(nfs4?|cifs|smb3|smbfs|9p|afs|ncpfs|ceph|lustre|gfs2|ocfs2|beegfs|gpfs|virtiofs|" +
    "vboxsf|vmhgfs)$",
);
const NETWORK_FUSE = /^fuse\.(sshfs|gluster|s3fs|ceph|rclone)/;

/**
 * Judges a type of file system. On network and shared ones, locks and mappings of two machines do not see
 * each other, and a sync may mean little. FUSE may hide anything, so an unknown name is `unknown`.
 */
export function judgeFileSystem(type: string): FileSystemVerdict {
  if (GOOD.test(type)) return "good";
  if (VOLATILE.test(type)) return "volatile";
  return NETWORK.test(type) || NETWORK_FUSE.test(type) ? "network" : "unknown";
}

/** Decodes a mount point, in which spaces and backslashes are `\040` and `\134`. */
function unescapeOctal(text: string): string {
  return text.replace(
    /\\([0-7]{3})/g,
    (_, digits: string) => String.fromCharCode(parseInt(digits, 8)),
  );
}
