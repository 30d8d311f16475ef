/**
 * Guards of the product, each with the change that removes it and the test that must then fail. The change is
 * made in a copy of the tree, so the product has no switch for it.
 */

export interface PlantedFault {
  /** What goes wrong, as a sentence would end: "… is caught". */
  readonly name: string;
  /** The source, and the text in it, once, that is replaced. */
  readonly file: string;
  readonly from: string;
  readonly to: string;
  /** The test that must fail. */
  readonly test: { readonly file: string; readonly name: string };
  /** Whether the test needs root, and passes without a look if it has not. */
  readonly needsRoot?: boolean;
}

export const plantedFaults: readonly PlantedFault[] = [
  {
    name: "the incompat bits of a newer format are ignored",
    file: "src/base/format.ts",
    from: "  if (unknown === 0) return;\n",
    to: "  if (unknown >= 0) return;\n",
    test: {
      file: "tests/counters/worker/quarantine_test.ts",
      name:
        "A keyspace of a newer format is left alone with its logs, the others are folded, nothing is lost",
    },
  },
  {
    name: "a byte of control that must be zero is not looked at",
    file: "src/counters/commitlog/control_bytes.ts",
    from: "of kept.kept ? [] : [at.reserved, at.streamId, at.zeros]) {",
    to: "of kept.kept ? [] : [at.reserved]) {",
    test: {
      file: "tests/process/other_format_test.ts",
      name: "A byte of control that must be zero and is not is damage, and repair keeps the sizes",
    },
  },
  {
    name: "the complement of a live word is not looked at",
    file: "src/counters/commitlog/live_words.ts",
    from: "const isWhole = (tail ^ tailInverted) === -1 && (change ^ changeInverted) === -1;",
    to: "const isWhole = true;",
    test: {
      file: "tests/crash/live_words_test.ts",
      name: "A live word that is damaged costs no frame, and the next append stores it again",
    },
  },
  {
    name: "a fold does not ask for the name of a keyspace before it publishes",
    file: "src/counters/keyspace/writer.ts",
    from: "return leadsTo(this.#storage, this.path, identity) && tree.isUnchanged() &&",
    to: "return tree.isUnchanged() &&",
    test: {
      file: "tests/process/lost_keyspace_test.ts",
      name: "Increments after the removal of a keyspace file go into a new file",
    },
  },
  {
    name: "the link count of a log is not looked at after a sync",
    file: "src/counters/commitlog/active_log.ts",
    from: "    this.held.refuseUnlinked();\n",
    to: "",
    test: {
      file: "tests/process/lost_name_test.ts",
      name:
        "A writer whose log is removed stops answering, exits with 6, and loses no answered increment",
    },
  },
  {
    name: "a lone lock name is unlinked with the frames behind it",
    file: "src/counters/commitlog/lost_logs.ts",
    from: "      if (!restoreName(directory, slot)) unlinkLockName(storage, paths.logs, slot);\n",
    to: "      unlinkLockName(storage, paths.logs, slot);\n",
    test: {
      file: "tests/process/lost_name_test.ts",
      name: "A worker alone restores the plain name of a log and folds it",
    },
  },
  {
    name: "a gap in the slots is not named",
    file: "src/counters/commitlog/slot_files.ts",
    from: "    if (slot > next) gaps.push({ first: next, last: slot - 1 });\n",
    to: "",
    test: {
      file: "tests/process/lost_name_test.ts",
      name: "check names a gap in the slots, and repair fills it",
    },
  },
  {
    name: "the temporary name of a keyspace is one that a keyspace can have",
    file: "src/counters/keyspace/catalog.ts",
    from: 'const TEMPORARY_PREFIX = ".new-";',
    to: 'const TEMPORARY_PREFIX = "new-";',
    test: {
      file: "tests/counters/keyspace/names_test.ts",
      name: "No keyspace has the temporary name of another, and the sweep of those takes none",
    },
  },
  {
    name: "the directory of a new log is not synced",
    file: "src/counters/commitlog/create_slot.ts",
    from: "    storage.syncDirectory(paths.logs);\n",
    to: "",
    test: {
      file: "tests/crash/commitlog_crash_test.ts",
      name: "Commit logs survive a crash at every point while the pool grows",
    },
  },
  {
    name: "the descriptor that syncs a file system is opened after the writes",
    file: "src/file/system_file_system.ts",
    from: "    ffi.syncfs(this.#descriptor, this.#path);\n",
    to: "    const late = ffi.open(this.#path, {});\n" +
      "    ffi.syncfs(late, this.#path);\n    ffi.close(late);\n",
    test: {
      file: "tests/process/disk_errors_test.ts",
      name:
        "A fold detects a write error of its pages that was already reported to another process",
    },
    needsRoot: true,
  },
  {
    name: "a worker that takes over does not sync what a dead one has published",
    file: "src/counters/worker/worker.ts",
    from: "    const { fileSystem } = this.#writers;\n    fileSystem.sync();\n    if (",
    to: "    const { fileSystem } = this.#writers;\n    if (",
    test: {
      file: "tests/process/disk_errors_test.ts",
      name: "A worker that takes over makes durable what a dead one has published",
    },
    needsRoot: true,
  },
  {
    name: "the kind of a keyspace file is not looked at",
    file: "src/counters/keyspace/reader.ts",
    from: '    if (kind !== "file") throw notRegular(path);\n',
    to: "",
    test: {
      file: "tests/process/lost_keyspace_test.ts",
      name: "A FIFO or a directory among the keyspaces stops neither a reader nor check",
    },
  },
  {
    name: "the length of a record's name has no bound",
    file: "src/counters/wire/record.ts",
    from:
      '    if (nameLength > NAME_SIZE_MAX) throw new BadRecordError("name is too long", start);\n',
    to: "",
    test: { file: "tests/counters/wire/record_test.ts", name: "Every rule of a batch is checked" },
  },
  {
    name: "an accept that fails for one peer makes the others wait",
    file: "src/net/accept_all.ts",
    from: '      if (meaningOfErrno(code) === "scarce") {\n',
    to: "      if (code !== null) {\n",
    test: {
      file: "tests/process/one_peer_test.ts",
      name: "Connections that are reset before they are accepted delay no client, and fill no log",
    },
  },
  {
    name: "the hash of names has no secrets",
    file: "src/base/keyed_hash.ts",
    from: "crypto.getRandomValues(new Int32Array(WORDS_MAX + 1));\n  #keysAtRenewal",
    to: "new Int32Array(WORDS_MAX + 1);\n  #keysAtRenewal",
    test: {
      file: "tests/base/keyed_hash_test.ts",
      name: "Names that differ by patterns in neighbouring words have hashes like random ones",
    },
  },
];
