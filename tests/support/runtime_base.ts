/**
 * The runtime base of `deno compile` for machines that reach an npm registry and nothing else.
 *
 * `deno compile` puts a program behind a bare runtime ("denort"), which it downloads. The registry
 * has no bare runtime, but it has programs that were made with the very same one: the executable
 * of @chelonia/cli-x64-linux 3.4.0 was made by Deno 2.9.4. Everything that `deno compile` appended to it is
 * removed. Deno's own runtime (MIT) remains, byte for byte. The appended program (AGPL-3.0) is dropped, and
 * no part of it is passed on.
 *
 * The archive is pinned by its integrity, the base by its sha256: anything else is refused.
 */

import { ensureDirSync } from "@std/fs/ensure-dir";
import { existsSync } from "@std/fs/exists";

/** The source of the base, and the expected result. */
export const RUNTIME_BASE = {
  denoVersion: "2.9.4",
  target: "x86_64-unknown-linux-gnu",
  package: "@chelonia/cli-x64-linux",
  packageVersion: "3.4.0",
  integrity:
    "sha512-ey7BqNiIOY2PkpN/UYxjpmOG1A7HmplyadP80omXTG1DVu1fbz7ro/d4gRPtHaxPRkNJTS24lDejc5/rT/3RMA==",
  executable: "chel",
  sha256: "723d45cca4f68bd66652da1e0d45562b0700317c1535981035f50f078785a131",
} as const;

/**
 * The path of the verified base in `cacheDirectory`, fetched and recovered when it is not there.
 * Throws an Error if the registry gives anything but the pinned bytes.
 */
export async function fetchRuntimeBase(cacheDirectory: string): Promise<string> {
  const path = `${cacheDirectory}/denort-${RUNTIME_BASE.denoVersion}`;
  if (existsSync(path)) {
    await requireSha256(Deno.readFileSync(path), path);
    return path;
  }
  const base = await recoverFromRegistry(cacheDirectory);
  await requireSha256(base, `The runtime base recovered from ${RUNTIME_BASE.package}`);
  const temporary = `${path}.${crypto.randomUUID()}`;
  Deno.writeFileSync(temporary, base, { mode: 0o755 });
  Deno.renameSync(temporary, path);
  return path;
}

async function recoverFromRegistry(cacheDirectory: string): Promise<Uint8Array<ArrayBuffer>> {
  ensureDirSync(cacheDirectory);
  const directory = Deno.makeTempDirSync({ dir: cacheDirectory, prefix: "package-" });
  try {
    await installPackage(directory);
    const { package: name, executable } = RUNTIME_BASE;
    return recoverRuntimeBase(
      Deno.readFileSync(`${directory}/node_modules/${name}/${executable}`),
    );
  } finally {
    Deno.removeSync(directory, { recursive: true });
  }
}

/** Has Deno's own npm client fetch the package; the frozen lock file holds it to the integrity. */
async function installPackage(directory: string): Promise<void> {
  const { package: name, packageVersion, integrity } = RUNTIME_BASE;
  const specifier = `npm:${name}@${packageVersion}`;
  const lock = {
    version: "5",
    specifiers: { [specifier]: packageVersion },
    npm: {
      [`${name}@${packageVersion}`]: { integrity, os: ["linux"], cpu: ["x64"], bin: true },
    },
    workspace: { dependencies: [specifier] },
  };
  const configuration = { imports: { base: specifier }, nodeModulesDir: "auto" };
  Deno.writeTextFileSync(`${directory}/deno.json`, JSON.stringify(configuration));
  Deno.writeTextFileSync(`${directory}/deno.lock`, JSON.stringify(lock));
  const { success, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["install", "--frozen"],
    cwd: directory,
    // A registry behind a company's own certificate is trusted where the machine trusts it.
    env: { DENO_TLS_CA_STORE: Deno.env.get("DENO_TLS_CA_STORE") ?? "system,mozilla" },
    stdout: "null",
    stderr: "piped",
  }).output();
  if (success) return;
  throw new Error(`Cannot fetch ${specifier}: ${new TextDecoder().decode(stderr)}`);
}

/** Throws an Error unless the bytes are the pinned base. */
export async function requireSha256(
  bytes: Uint8Array<ArrayBuffer>,
  what: string,
  sha256: string = RUNTIME_BASE.sha256,
): Promise<void> {
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
  if (digest.toHex() === sha256) return;
  throw new Error(`${what} has the sha256 ${digest.toHex()} instead of ${sha256}: refused`);
}

/** Fields of the ELF file header, sizes of the table entries, and the types that are looked for. */
const ELF = {
  programTableOffset: 0x20,
  sectionTableOffset: 0x28,
  programCount: 0x38,
  sectionCount: 0x3c,
  sectionNamesIndex: 0x3e,
  headerBytes: 64,
  programBytes: 56,
  sectionBytes: 64,
  loadType: 1,
  noteType: 4,
} as const;

const PAGE_BYTES = 4096;
/** `deno compile` 2.9 adds a LOAD and a NOTE program header, and two sections. */
const ADDED = 2;

/**
 * Undoes what `deno compile` of Deno 2.9 does to its base on Linux:
 *
 *     base … its section table | zeros to a page | program headers, one LOAD and one NOTE more |
 *     the note with the program | section table, two more
 *
 * and four fields of the file header point at the new tables. Throws an Error on any other layout.
 */
export function recoverRuntimeBase(executable: Uint8Array): Uint8Array<ArrayBuffer> {
  const view = new DataView(executable.buffer, executable.byteOffset, executable.length);
  requireThat(
    executable.length > PAGE_BYTES && view.getUint32(0) === 0x7f454c46 &&
      executable[4] === 2 && executable[5] === 1,
    "it is not a 64-bit little-endian ELF file",
  );
  const tables = {
    programs: Number(view.getBigUint64(ELF.programTableOffset, true)),
    programCount: view.getUint16(ELF.programCount, true),
    sections: Number(view.getBigUint64(ELF.sectionTableOffset, true)),
    sectionCount: view.getUint16(ELF.sectionCount, true),
    namesIndex: view.getUint16(ELF.sectionNamesIndex, true),
  };
  const end = tables.sections + tables.sectionCount * ELF.sectionBytes;
  requireThat(end === executable.length, "the section table does not end the file");
  requireThat(
    tables.programs % PAGE_BYTES === 0 && tables.programs >= PAGE_BYTES &&
      tables.programCount > ADDED && tables.sectionCount > ADDED + 1 &&
      tables.programs + tables.programCount * ELF.programBytes <= tables.sections,
    "nothing was appended by deno compile",
  );
  const load = tables.programs + (tables.programCount - ADDED) * ELF.programBytes;
  requireThat(
    view.getUint32(load, true) === ELF.loadType &&
      view.getUint32(load + ELF.programBytes, true) === ELF.noteType &&
      Number(view.getBigUint64(load + 8, true)) === tables.programs,
    "the last two program headers are not those of an appended note",
  );
  const count = tables.sectionCount - ADDED;
  const baseEnd = endOfBase(executable, { ...tables, sectionCount: count });
  const base = executable.slice(0, baseEnd);
  const header = new DataView(base.buffer);
  header.setBigUint64(ELF.programTableOffset, BigInt(ELF.headerBytes), true);
  header.setUint16(ELF.programCount, tables.programCount - ADDED, true);
  header.setBigUint64(
    ELF.sectionTableOffset,
    BigInt(baseEnd - count * ELF.sectionBytes),
    true,
  );
  header.setUint16(ELF.sectionCount, count, true);
  return base;
}

/**
 * Where the base ends: behind its own section table, of which the new one is a copy but for the
 * section of names, and at most a page of zeros before the appended part.
 */
function endOfBase(
  executable: Uint8Array,
  tables: { programs: number; sections: number; sectionCount: number; namesIndex: number },
): number {
  const tableBytes = tables.sectionCount * ELF.sectionBytes;
  const last = Math.max(tables.programs - PAGE_BYTES, ELF.headerBytes + tableBytes);
  for (let end = tables.programs; end >= last; end--) {
    if (sameSections(executable, end - tableBytes, tables)) return end;
    if (executable[end - 1] !== 0) break;
  }
  throw refusal("the section table of the base was not found");
}

function sameSections(
  executable: Uint8Array,
  old: number,
  { sections, sectionCount, namesIndex }: {
    sections: number;
    sectionCount: number;
    namesIndex: number;
  },
): boolean {
  for (let index = 0; index < sectionCount; index++) {
    if (index === namesIndex) continue;
    const at = index * ELF.sectionBytes;
    for (let byte = at; byte < at + ELF.sectionBytes; byte++) {
      if (executable[old + byte] !== executable[sections + byte]) return false;
    }
  }
  return true;
}

function requireThat(condition: boolean, problem: string): asserts condition {
  if (!condition) throw refusal(problem);
}

function refusal(problem: string): Error {
  return new Error(`Cannot recover the runtime base: ${problem}`);
}
