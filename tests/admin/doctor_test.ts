/** The doctor on good and on bad places. */
import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { examine, type Finding } from "../../src/admin/mod.ts";
import { openFilesLimit } from "../../src/admin/doctor.ts";
import { findMount, judgeFileSystem, mountOf, parseMountinfo } from "../../src/admin/mounts.ts";
import { clearFailedMark, DataDirectory, describeSelf } from "../../src/counters/commitlog/mod.ts";
import { systemStorage } from "../../src/file/mod.ts";
import { withUnfolded } from "../cli/effect_support.ts";
import { giveToOrdinaryUser, ORDINARY_ID, runningAsRoot } from "../support/ordinary_user.ts";
import { runCountd, runProgram } from "../support/process.ts";
import { withTemporaryDirectory } from "../support/temporary.ts";

function examineAt(directory: string, user = Deno.uid() ?? 0): Map<string, Finding> {
  const findings = examine(systemStorage(), directory, { user });
  return new Map(findings.map((finding) => [finding.check, finding]));
}

Deno.test("On a good directory the doctor finds nothing wrong and leaves nothing behind", async () => {
  await withTemporaryDirectory((directory) => {
    Deno.chmodSync(directory, 0o700);
    const findings = examineAt(directory);
    const checks = ["platform", "directory", "writing", "file system", "locks", "limits", "space"];
    assertEquals([...findings.keys()], checks);
    for (const check of ["platform", "directory", "writing", "locks"]) {
      assertEquals(findings.get(check)?.level, "ok", findings.get(check)?.message);
    }
    assertEquals([...Deno.readDirSync(directory)], []);
  });
});

Deno.test("The doctor reports sizes, the failed mark, damage and foreign files of a data directory", async () => {
  await withUnfolded((data) => {
    assertEquals(examineAt(data).get("data"), {
      check: "data",
      level: "ok",
      message: "logs of 65536 bytes, names up to 256 and 256 bytes",
      advice: "",
    });
    const storage = systemStorage();
    using directory = DataDirectory.open(storage, data, { self: describeSelf(storage) });
    directory.markFailed("a test", 0);
    const failed = examineAt(data).get("data");
    assertEquals([failed?.level, failed?.message], ["problem", "marked failed: a test"]);
    clearFailedMark(directory.control.file);
    if (runningAsRoot()) {
      Deno.chownSync(`${data}/logs/0000000001`, ORDINARY_ID, ORDINARY_ID);
      const strange = examineAt(data).get("data");
      assertEquals(strange?.level, "problem");
      assertStringIncludes(strange?.message ?? "", "1 files belong to another user");
      Deno.chownSync(`${data}/logs/0000000001`, 0, 0);
    }
    return Promise.resolve();
  });
  await withTemporaryDirectory((directory) => {
    Deno.writeTextFileSync(`${directory}/control`, "not a control file");
    const damaged = examineAt(directory).get("data");
    assertEquals(damaged?.level, "problem");
    assertStringIncludes(damaged?.message ?? "", "is not the control file");
  });
});

Deno.test("If the directory does not exist yet the doctor examines the one above", async () => {
  await withTemporaryDirectory((directory) => {
    const findings = examineAt(`${directory}/a/b/c`);
    assertEquals(findings.get("directory")?.level, "ok");
    assertStringIncludes(findings.get("directory")?.message ?? "", `${directory} was examined`);
    assertEquals([...Deno.readDirSync(directory)], []);
  });
});

Deno.test("A directory that others can reach into is a warning with its remedy", async () => {
  await withTemporaryDirectory((directory) => {
    Deno.chmodSync(directory, 0o755);
    const finding = examineAt(directory).get("directory");
    assertEquals([finding?.level, finding?.advice], ["warning", `chmod 0700 ${directory}`]);
  });
});

Deno.test("A directory of another user is a problem with its remedy", async () => {
  await withTemporaryDirectory((directory) => {
    const owner = Deno.uid() ?? 0;
    const finding = examineAt(directory, owner + 1).get("directory");
    assertEquals(finding?.level, "problem");
    assertStringIncludes(finding?.advice ?? "", `as user ${owner}`);
  });
});

Deno.test("A file in place of the directory is a problem", async () => {
  await withTemporaryDirectory((directory) => {
    Deno.writeTextFileSync(`${directory}/file`, "");
    const findings = examineAt(`${directory}/file`);
    assertEquals(findings.get("directory")?.level, "problem");
    assertEquals(findings.get("writing")?.level, "problem");
  });
});

Deno.test("countd doctor exits 0 on a good place, and answers in JSON", async () => {
  await withTemporaryDirectory(async (directory) => {
    Deno.chmodSync(directory, 0o700);
    const { code, text, stderr } = await runCountd(["doctor", "--data", directory, "--json"]);
    assertEquals([code, stderr], [0, ""]);
    const answer = JSON.parse(text);
    assertEquals([answer.directory, answer.problems], [directory, 0]);
    const plain = await runCountd(["doctor", "--data", directory]);
    assertEquals(plain.code, 0);
    assertEquals(
      plain.text.trimEnd().split("\n").filter((line) => /^(ok|warning) /.test(line)).length,
      7,
    );
  });
});

Deno.test("countd doctor exits 1 on a bad place, and says what to do", async () => {
  if (Deno.build.os !== "linux") return;
  const { code, text } = await runCountd(["doctor", "--data", "/proc"]);
  assertEquals(code, 1);
  assertStringIncludes(text, "problem  writing");
  assertStringIncludes(text, "do: name a directory on a local file system with --data");
});

Deno.test("The doctor reports a directory that an ordinary user cannot write", async () => {
  await withTemporaryDirectory(async (directory) => {
    const place = `${directory}/closed`;
    Deno.mkdirSync(place, { mode: 0o500 });
    giveToOrdinaryUser(directory);
    const { code, text } = await runCountd(["doctor", "--data", place], { as: "ordinary" });
    assertEquals(code, 1, text);
    assertStringIncludes(text, "EACCES");
    assertStringIncludes(text, "do: run as the owner of");
    if (runningAsRoot()) assertEquals(Deno.statSync(place).uid, ORDINARY_ID);
    Deno.chmodSync(place, 0o700);
  });
});

Deno.test("A directory in memory is a warning", () => {
  if (mountOf(systemStorage(), "/dev/shm")?.type !== "tmpfs") {
    return console.log("not run: needs a tmpfs on /dev/shm");
  }
  const directory = Deno.makeTempDirSync({ dir: "/dev/shm", prefix: "countd-test-" });
  try {
    const finding = examineAt(directory).get("file system");
    assertEquals(finding?.level, "warning");
    assertStringIncludes(finding?.message ?? "", "tmpfs on /dev/shm lives in memory");
  } finally {
    Deno.removeSync(directory);
  }
});

Deno.test("A low limit of open files is a warning", async () => {
  if (Deno.build.os !== "linux") return;
  await withTemporaryDirectory(async (directory) => {
    const main = new URL("../../main.ts", import.meta.url).pathname;
    const run = `ulimit -n 256; exec "$0" run --quiet -A --no-check "$1" doctor --data "$2" --json`;
    const command = ["sh", "-c", run, Deno.execPath(), main, directory];
    const { code, text } = await runProgram(command);
    assertEquals(code, 0);
    const { findings } = JSON.parse(text) as { findings: Finding[] };
    const limits = findings.find(({ check }) => check === "limits");
    assertEquals(limits?.level, "warning");
    assertStringIncludes(limits?.message ?? "", "only 256 open files");
  });
});

Deno.test("The limit of open files is read from the kernel's table", () => {
  const head = "Limit                     Soft Limit           Hard Limit           Units     \n";
  const line = "Max open files            1024                 524288               files     \n";
  assertEquals(openFilesLimit(head + line), 1024);
  assertEquals(openFilesLimit(head + line.replace("1024     ", "unlimited")), Infinity);
  assertEquals(openFilesLimit(head), null);
});

Deno.test("The mount of a path is the longest one above it, and the last of equals", () => {
  const mounts = parseMountinfo([
    "21 1 8:1 / / rw,relatime - ext4 /dev/sda1 rw,errors=remount-ro",
    "22 21 0:30 / /srv/with\\040blank rw shared:5 master:1 - nfs4 host:/x rw,vers=4.2",
    "23 21 0:31 / /data rw - xfs /dev/sdb rw",
    "24 23 0:32 / /data ro - tmpfs tmpfs ro",
    "",
  ].join("\n"));
  assertEquals(findMount(mounts, "/home/a")?.type, "ext4");
  assertEquals(findMount(mounts, "/srv/with blank/db")?.type, "nfs4");
  assertEquals(findMount(mounts, "/srv/with blankets")?.type, "ext4");
  assertEquals(findMount(mounts, "/data")?.type, "tmpfs");
  assert(findMount(mounts, "/data/x")?.options.includes("ro"));
  assertEquals(findMount([], "/"), null);
});

Deno.test("Network, local, memory and unknown file systems are told apart", () => {
  for (const type of ["nfs", "nfs4", "cifs", "9p", "fuse.sshfs", "fuse.glusterfs", "ceph"]) {
    assertEquals(judgeFileSystem(type), "network", type);
  }
  for (const type of ["ext4", "xfs", "btrfs", "zfs", "f2fs"]) {
    assertEquals(judgeFileSystem(type), "good", type);
  }
  for (const type of ["tmpfs", "ramfs"]) assertEquals(judgeFileSystem(type), "volatile", type);
  for (const type of ["vfat", "fuse.something", "overlay", ""]) {
    assertEquals(judgeFileSystem(type), "unknown", type);
  }
});

Deno.test("The mounts of this machine can be read", () => {
  if (Deno.build.os !== "linux") return;
  const root = mountOf(systemStorage(), "/");
  assertEquals(root?.mountPoint, "/");
  if (Deno.statSync("/dev/shm").isDirectory) {
    assertEquals(mountOf(systemStorage(), "/dev/shm/below")?.type, "tmpfs");
  }
});
