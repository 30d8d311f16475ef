/**
 * Every errno of the platforms, in one table: its numbers, what it means to a call on a file, and what a
 * message says of it. A number that is missing here gets a name too, and counts as `failing`.
 */

/**
 * What an errno says about the call that it refused:
 *
 * | meaning       | the call was refused because of                                           |
 * | ------------- | ------------------------------------------------------------------------- |
 * | `missing`     | a name that leads nowhere                                                 |
 * | `closed`      | the kind, the owner, the mode or the name of one file                     |
 * | `failing`     | the device or the file system: what is on it may be damaged               |
 * | `readonly`    | a file system that takes no writes                                        |
 * | `full`        | a lack of space, until some is freed                                      |
 * | `scarce`      | a lack of descriptors, memory or locks, which passes                      |
 * | `busy`        | another call or process that is in the way for a moment                   |
 * | `unreachable` | a machine that does not answer; to a file on it, the same as `failing`    |
 * | `misuse`      | the call itself: a wrong argument, or something the system does not offer |
 */
export type ErrnoMeaning =
  | "missing"
  | "closed"
  | "failing"
  | "readonly"
  | "full"
  | "scarce"
  | "busy"
  | "unreachable"
  | "misuse";

/** Name, number on Linux (x86-64 and arm64), number on macOS, meaning, words. Null: not on this platform. */
type ErrnoRow = readonly [string, number | null, number | null, ErrnoMeaning, string];

const TELLING_ROWS: readonly ErrnoRow[] = [
  ["EPERM", 1, 1, "closed", "operation not permitted"],
  ["ENOENT", 2, 2, "missing", "no such file or directory"],
  ["EINTR", 4, 4, "busy", "interrupted"],
  ["EIO", 5, 5, "failing", "input/output error"],
  ["ENXIO", 6, 6, "closed", "not a regular file, or its device is gone"],
  ["EBADF", 9, 9, "misuse", "not an open file"],
  ["EAGAIN", 11, 35, "busy", "held by another process"],
  ["ENOMEM", 12, 12, "scarce", "not enough memory"],
  ["EACCES", 13, 13, "closed", "permission denied"],
  ["EFAULT", 14, 14, "misuse", "bad address"],
  ["ENOTBLK", 15, 15, "closed", "block device required"],
  ["EBUSY", 16, 16, "busy", "in use by the system"],
  ["EEXIST", 17, 17, "closed", "exists already"],
  ["EXDEV", 18, 18, "closed", "not on the same file system"],
  ["ENODEV", 19, 19, "failing", "the device is gone"],
  ["ENOTDIR", 20, 20, "closed", "not a directory"],
  ["EISDIR", 21, 21, "closed", "is a directory"],
  ["EINVAL", 22, 22, "misuse", "invalid argument"],
  ["ENFILE", 23, 23, "scarce", "too many open files on this system"],
  ["EMFILE", 24, 24, "scarce", "too many open files in this process"],
  ["ETXTBSY", 26, 26, "busy", "the file is a program that runs"],
  ["EFBIG", 27, 27, "full", "file too large"],
  ["ENOSPC", 28, 28, "full", "no space left on the disk"],
  ["EROFS", 30, 30, "readonly", "the file system is read-only"],
  ["EMLINK", 31, 31, "closed", "too many links"],
  ["EPIPE", 32, 32, "misuse", "no process reads the other end"],
  ["EDEADLK", 35, 11, "busy", "the lock would never be granted"],
  ["ENAMETOOLONG", 36, 63, "closed", "the name is too long"],
  ["ENOLCK", 37, 77, "scarce", "no locks available"],
  ["ENOSYS", 38, 78, "misuse", "not supported by this system"],
  ["ENOTEMPTY", 39, 66, "closed", "the directory is not empty"],
  ["ELOOP", 40, 62, "closed", "too many symbolic links"],
  ["EBADE", 52, null, "failing", "the disk refuses the exchange"],
  ["EXFULL", 54, null, "scarce", "exchange full"],
  ["ENODATA", 61, 96, "failing", "the disk cannot read the block"],
  ["ETIME", 62, 101, "failing", "timer expired"],
  ["ENOSR", 63, 98, "scarce", "out of streams resources"],
  ["ENONET", 64, null, "unreachable", "machine is not on the network"],
  ["EREMOTE", 66, 71, "closed", "object is remote"],
  ["ENOLINK", 67, 97, "failing", "the connection to the disk is gone"],
  ["ECOMM", 70, null, "failing", "communication error on send"],
  ["EPROTO", 71, 100, "failing", "protocol error"],
  ["EBADMSG", 74, 94, "failing", "the file system found damage"],
  ["EOVERFLOW", 75, 84, "closed", "a number of the file is too large"],
  ["EREMCHG", 78, null, "failing", "remote address changed"],
  ["EILSEQ", 84, 92, "failing", "bytes that the file system does not accept"],
  ["ERESTART", 85, null, "busy", "interrupted system call should be restarted"],
  ["ESTRPIPE", 86, null, "busy", "streams pipe error"],
  ["EUSERS", 87, 68, "scarce", "too many users"],
  ["EOPNOTSUPP", 95, 102, "misuse", "not supported by the file system"],
  ["ENETDOWN", 100, 50, "unreachable", "network is down"],
  ["ENETUNREACH", 101, 51, "unreachable", "network is unreachable"],
  ["ENETRESET", 102, 52, "unreachable", "network dropped connection on reset"],
  ["ECONNABORTED", 103, 53, "unreachable", "software caused connection abort"],
  ["ECONNRESET", 104, 54, "unreachable", "connection reset by peer"],
  ["ENOBUFS", 105, 55, "scarce", "no buffer space available"],
  ["ENOTCONN", 107, 57, "failing", "the server of the file system is gone"],
  ["ESHUTDOWN", 108, 58, "failing", "the file system was shut down"],
  ["ETIMEDOUT", 110, 60, "unreachable", "timed out"],
  ["ECONNREFUSED", 111, 61, "unreachable", "connection refused"],
  ["EHOSTDOWN", 112, 64, "unreachable", "host is down"],
  ["EHOSTUNREACH", 113, 65, "unreachable", "no route to host"],
  ["EALREADY", 114, 37, "busy", "operation already in progress"],
  ["EINPROGRESS", 115, 36, "busy", "operation now in progress"],
  ["ESTALE", 116, 70, "failing", "the file is gone from its server"],
  ["EUCLEAN", 117, null, "failing", "the file system is damaged"],
  ["EREMOTEIO", 121, null, "failing", "input/output error of a remote device"],
  ["EDQUOT", 122, 69, "full", "the disk quota is used up"],
  ["ENOMEDIUM", 123, null, "failing", "no disk is in the drive"],
  ["EMEDIUMTYPE", 124, null, "closed", "the disk in the drive is of a wrong kind"],
  ["ECANCELED", 125, 89, "busy", "operation canceled"],
  ["ENOKEY", 126, null, "closed", "the key of the encrypted file is missing"],
  ["EKEYEXPIRED", 127, null, "closed", "the key of the encrypted file has expired"],
  ["EKEYREVOKED", 128, null, "closed", "the key of the encrypted file was revoked"],
  ["EKEYREJECTED", 129, null, "closed", "the key of the encrypted file was rejected"],
  ["EOWNERDEAD", 130, 105, "failing", "owner died"],
  ["ENOTRECOVERABLE", 131, 104, "failing", "state not recoverable"],
  ["ERFKILL", 132, null, "closed", "operation not possible due to RF-kill"],
  ["EHWPOISON", 133, null, "failing", "the memory page is damaged"],
  ["ENOTSUP", null, 45, "misuse", "not supported by the file system"],
  ["EPROCLIM", null, 67, "scarce", "too many processes"],
  ["EBADRPC", null, 72, "failing", "bad remote call"],
  ["EFTYPE", null, 79, "closed", "a wrong kind of file"],
  ["EAUTH", null, 80, "closed", "authentication failed"],
  ["ENEEDAUTH", null, 81, "closed", "authentication is needed"],
  ["EPWROFF", null, 82, "failing", "the device is off"],
  ["EDEVERR", null, 83, "failing", "the device failed"],
  ["ENOPOLICY", null, 103, "closed", "no such policy"],
  ["EQFULL", null, 106, "scarce", "the queue of the device is full"],
];

/** Errno names that all say `misuse`, with their two numbers: a file of countd never meets most of them. */
const MISUSE_ROWS = `
  ESRCH:3:3 E2BIG:7:7 ENOEXEC:8:8 ECHILD:10:10 ENOTTY:25:25 ESPIPE:29:29 EDOM:33:33 ERANGE:34:34
  ENOMSG:42:91 EIDRM:43:90 ECHRNG:44:- EL2NSYNC:45:- EL3HLT:46:- EL3RST:47:- ELNRNG:48:-
  EUNATCH:49:- ENOCSI:50:- EL2HLT:51:- EBADR:53:- ENOANO:55:- EBADRQC:56:- EBADSLT:57:-
  EBFONT:59:- ENOSTR:60:99 ENOPKG:65:- EADV:68:- ESRMNT:69:- EMULTIHOP:72:95 EDOTDOT:73:-
  ENOTUNIQ:76:- EBADFD:77:- ELIBACC:79:- ELIBBAD:80:- ELIBSCN:81:- ELIBMAX:82:- ELIBEXEC:83:-
  ENOTSOCK:88:38 EDESTADDRREQ:89:39 EMSGSIZE:90:40 EPROTOTYPE:91:41 ENOPROTOOPT:92:42
  EPROTONOSUPPORT:93:43 ESOCKTNOSUPPORT:94:44 EPFNOSUPPORT:96:46 EAFNOSUPPORT:97:47
  EADDRINUSE:98:48 EADDRNOTAVAIL:99:49 EISCONN:106:56 ETOOMANYREFS:109:59 ENOTNAM:118:-
  ENAVAIL:119:- EISNAM:120:- ERPCMISMATCH:-:73 EPROGUNAVAIL:-:74 EPROGMISMATCH:-:75
  EPROCUNAVAIL:-:76 EBADEXEC:-:85 EBADARCH:-:86 ESHLIBVERS:-:87 EBADMACHO:-:88 ENOATTR:-:93
`;

/** Every errno. Words are empty if its name says all there is. */
export const ERRNO_ROWS: readonly ErrnoRow[] = [
  ...TELLING_ROWS,
  ...MISUSE_ROWS.trim().split(/\s+/).map((row): ErrnoRow => {
    const [name, linux, apple] = row.split(":") as [string, string, string];
    const [onLinux, onApple] = [linux, apple].map((text) => text === "-" ? null : Number(text));
    return [name, onLinux!, onApple!, "misuse", ""];
  }),
];

/** The columns of the numbers. */
const COLUMNS = { linux: 1, apple: 2 } as const;

export type ErrnoPlatform = keyof typeof COLUMNS;

let rowsByName: ReadonlyMap<string, ErrnoRow> | null = null;

function rowOf(name: string): ErrnoRow | undefined {
  rowsByName ??= new Map(ERRNO_ROWS.map((row) => [row[0], row]));
  return rowsByName.get(name);
}

/** The name of an error number; `errno 524` for one that is in no header. */
export function nameOfErrno(platform: ErrnoPlatform, number: number): string {
  const row = ERRNO_ROWS.find((each) => each[COLUMNS[platform]] === number);
  return row?.[0] ?? `errno ${number}`;
}

/** What an errno means, by its name. */
export function meaningOfErrno(name: string): ErrnoMeaning {
  return rowOf(name)?.[3] ?? "failing";
}

/** What an errno says, for people; empty if its name says all there is. */
export function wordsOfErrno(name: string): string {
  return rowOf(name)?.[4] ?? "";
}
