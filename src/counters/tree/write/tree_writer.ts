/**
 * The writing side of a keyspace file: adds batches, one transaction at a time.
 *
 * A transaction has four steps, driven by the caller, which batches the syncs of many files:
 *
 *     apply ─▶ (sync A) ─▶ publish ─▶ (sync B)
 *
 * Invariants:
 * 1. Until `publish` the content of the file does not change: pages are written only where no durable
 *    snapshot has any.
 * 2. Whatever fails before `publish` is rolled back in memory (`rollBack`): nothing in the file has to be
 *    undone.
 * 3. Only one writer has the file. The fold lease ensures that, not this class.
 */

import { byteText } from "../../../base/byte_text.ts";
import { assert } from "../../../base/assert.ts";
import { CorruptError } from "../../../base/errors.ts";
import type { Kept } from "../../../base/format.ts";
import { isReadFailure } from "../../../file/mod.ts";
import { PageAllocator } from "./allocator.ts";
import { Batch } from "./batch.ts";
import { KeyMerge } from "./key_merge.ts";
import {
  type AppliedGenerations,
  raiseGenerations,
  writeGenerationPages,
} from "../pages/applied_generations.ts";
import {
  encodeMeta,
  firstPageOf,
  hasBlock,
  type Meta,
  META_BLOCK_BYTES_MAX,
  META_BLOCK_BYTES_SMALL,
  type MetaBlocks,
  metaGenerationsMax,
  metaOffsets,
  readMetaBlocks,
} from "../pages/meta.ts";
import { PAGE_SIZE_MIN, type PageFile, pageSizeIsLegal } from "../pages/page.ts";
import { PageSink } from "../pages/page_sink.ts";
import { ScratchPages } from "../pages/page_source.ts";
import { RankMerge } from "./rank_merge.ts";
import { EMPTY_ROOT } from "../pages/root.ts";
import { countersOf, loadGenerations, walkPages } from "../read/snapshot.ts";

/** A block of common file systems: a new file has one. */
const FILE_BYTES_MIN = 4096;

/** A file with the smallest pages is meant for so many bytes in pages. With old versions it has three times that. */
const SMALL_BYTES_MAX = 24 * 1024;

/** The result of one `apply`. */
export interface ApplyResult {
  readonly created: number;
  /** Counts of this batch that were clamped to a limit of int64. */
  readonly saturated: number;
  readonly pagesRead: number;
  readonly pagesWritten: number;
  readonly writes: number;
}

interface Transaction {
  readonly meta: Meta;
  readonly generations: BigUint64Array;
}

export class TreeWriter {
  readonly #file: PageFile;
  readonly #source: ScratchPages;
  #meta: Meta;
  /** Its block, as it lies in the file. */
  #block: Uint8Array;
  #previous: Meta | null;
  #generations: BigUint64Array;
  /** Found by walking the branches when first needed. */
  #pages: { readonly allocator: PageAllocator; readonly sink: PageSink } | null = null;
  #waiting: Transaction | null = null;
  /** The size of the file when it was opened, until the free pages are found. */
  #openedBytes: number | null = null;
  /** A publish failed: readers may have seen the transaction, so it must not be made again. */
  #isBroken = false;

  /** `block` is the encoded block of the newest transaction. */
  private constructor(file: PageFile, { newest, previous }: MetaBlocks, block: Uint8Array) {
    this.#file = file;
    this.#meta = newest;
    this.#block = block;
    this.#previous = previous;
    this.#source = new ScratchPages(file, newest.pageSize);
    this.#generations = loadGenerations(newest, this.#source, file.path);
  }

  /** Makes an empty file valid, without counters. The caller syncs. */
  static format(
    file: PageFile,
    { name, pageSize, ...history }: {
      readonly name: Uint8Array;
      readonly pageSize: number;
      readonly transaction?: number;
      readonly saturated?: bigint;
    } & Kept,
  ): TreeWriter {
    assert(pageSizeIsLegal(pageSize), "A page size is a power of two from 1,024 to 32,768");
    const blockBytes = pageSize === PAGE_SIZE_MIN ? META_BLOCK_BYTES_SMALL : META_BLOCK_BYTES_MAX;
    const meta: Meta = {
      blockBytes,
      transaction: 0,
      pageSize,
      pageCount: firstPageOf({ blockBytes, pageSize }),
      saturated: 0n,
      sum: 0n,
      keyRoot: EMPTY_ROOT,
      rankRoot: EMPTY_ROOT,
      generationSlots: 0,
      firstGenerations: new BigUint64Array(0),
      generationsPage: { number: 0, birth: 0 },
      name,
      ...history,
    };
    file.allocate(0, Math.max(meta.pageCount * pageSize, FILE_BYTES_MIN));
    const bytes = encodeMeta(meta);
    for (const offset of metaOffsets(meta.transaction, meta)) file.write(bytes, offset);
    return new TreeWriter(file, { newest: meta, previous: null, problems: [] }, bytes);
  }

  /**
   * Opens a file of `size` bytes. Throws `CorruptError` if it is not a keyspace file, or is truncated, and
   * `NewerFormatError` and `OldFormatError`.
   */
  static open(file: PageFile, size = file.status().size): TreeWriter {
    const blocks = readMetaBlocks(file);
    const { pageCount, pageSize } = blocks.newest;
    if (pageCount * pageSize > size) {
      throw new CorruptError(
        `Keyspace file ${file.path} is truncated: ${size} of ${pageCount * pageSize} bytes`,
        { path: file.path, offset: size },
      );
    }
    const writer = new TreeWriter(file, blocks, encodeMeta(blocks.newest));
    writer.#openedBytes = size;
    return writer;
  }

  /**
   * Makes an empty file valid, with the counters, applied generations and transaction of this one in pages of
   * another size. The caller syncs.
   */
  copyInto(file: PageFile, pageSize: number): TreeWriter {
    const { name, transaction, saturated, keyRoot, kept } = this.#meta;
    const features = kept === undefined ? {} : { kept };
    if (transaction === 0) return TreeWriter.format(file, { name, pageSize, ...features });
    const before = transaction - 1;
    const copy = TreeWriter.format(file, {
      name,
      pageSize,
      transaction: before,
      saturated,
      ...features,
    });
    const counters = new Map<string, bigint>();
    for (const { key, count } of countersOf(this.#source, keyRoot)) {
      counters.set(byteText(key), count);
    }
    const generations = new Map<number, bigint>();
    this.#generations.forEach((generation, slot) => {
      if (generation > 0n) generations.set(slot, generation);
    });
    copy.apply(Batch.ofSums(counters), generations, { pinned: false });
    copy.publish();
    return copy;
  }

  /**
   * Whether the counters and a batch need more space than pages of the smallest size are meant for. Throws as
   * `apply`.
   */
  isOutgrownBy(batch: Batch): boolean {
    if (this.pageSize !== PAGE_SIZE_MIN) return false;
    const { allocator } = this.#pages ??= this.#findPages();
    return allocator.livePages * PAGE_SIZE_MIN + 2 * batch.bytes.length > SMALL_BYTES_MAX;
  }

  get name(): Uint8Array {
    return this.#meta.name;
  }

  get pageSize(): number {
    return this.#meta.pageSize;
  }

  get transaction(): number {
    return this.#meta.transaction;
  }

  /** Counters in the published state. */
  get total(): number {
    return this.#meta.keyRoot.rows;
  }

  /** How often, ever, a sum was clamped to a limit of int64. */
  get saturated(): bigint {
    return this.#meta.saturated;
  }

  /**
   * Whether the file still has the transaction that this writer published. Throws `CorruptError`,
   * `NewerFormatError`, `OldFormatError` and `OsError`.
   */
  isUnchanged(): boolean {
    const [first] = metaOffsets(this.transaction, this.#meta);
    if (hasBlock(this.#file, first, this.#block)) return true;
    // Only that copy may be damaged.
    return readMetaBlocks(this.#file).newest.transaction === this.transaction;
  }

  /** The applied generation of a log slot: the greatest that is in the counters; 0 if none is. */
  applied(slot: number): bigint {
    return this.#generations[slot] ?? 0n;
  }

  /** The applied generations of the published state, by slot. A later transaction has an array of its own. */
  get generations(): Readonly<BigUint64Array> {
    return this.#generations;
  }

  /**
   * Writes the pages of the next transaction: adds the batch to the counters and raises the applied
   * generations. `pinned` is set while a backup reads the file; then no page is used again. Throws
   * `OsError` on a full disk and `CorruptError` for a damaged page; the file is then as it was.
   */
  apply(
    batch: Batch,
    generations: AppliedGenerations,
    { pinned }: { readonly pinned: boolean },
  ): ApplyResult {
    assert(this.#waiting === null, "A transaction is published or rolled back before the next");
    assert(!this.#isBroken, "A writer whose publish failed is opened anew");
    const before = this.#meta;
    const transaction = before.transaction + 1;
    try {
      const { allocator, sink } = this.#pages ??= this.#findPages();
      const source = this.#source;
      const readBefore = source.pagesRead;
      allocator.begin(transaction, { pinned });
      sink.start(transaction);

      const keys = new KeyMerge(batch, { source, sink, allocator });
      const keyRoot = keys.run(before.keyRoot);
      const { changes } = keys;
      const ranks = new RankMerge(batch, changes, { source, sink, allocator });
      const rankRoot = ranks.run(before.rankRoot);
      for (const root of [keyRoot, rankRoot]) {
        if (root.rows !== before.keyRoot.rows + changes.created) {
          throw source.corrupt(root.number, "the number of counters does not add up");
        }
      }

      const raised = raiseGenerations(this.#generations, generations);
      let generationsPage = before.generationsPage;
      const inMeta = metaGenerationsMax(before);
      if (raised.length > inMeta && generations.size > 0) {
        this.#freeGenerationPages(allocator);
        generationsPage = writeGenerationPages(sink, raised, inMeta);
      }
      sink.flush();
      // Pages that were read ahead may have been written since.
      source.dropReadAhead();
      this.#waiting = {
        generations: raised,
        meta: {
          ...before,
          transaction,
          pageCount: allocator.pageCount,
          saturated: before.saturated + BigInt(changes.saturated),
          sum: before.sum + changes.sum(),
          keyRoot,
          rankRoot,
          generationSlots: raised.length,
          firstGenerations: raised.slice(0, inMeta),
          generationsPage,
        },
      };
      return {
        created: changes.created,
        saturated: changes.saturated,
        pagesRead: source.pagesRead - readBefore,
        pagesWritten: sink.pagesWritten,
        writes: sink.writes,
      };
    } catch (error) {
      this.rollBack();
      throw error;
    }
  }

  /**
   * Makes the applied transaction the content of the file. `between` is called between the two blocks. If
   * this throws, it is unknown which state readers see, and the file has to be opened anew.
   */
  publish(between: () => void = () => {}): void {
    const waiting = this.#waiting;
    assert(waiting !== null, "A transaction is applied before it is published");
    assert(this.#pages !== null, "Pages are known if a transaction waits");
    const bytes = encodeMeta(waiting.meta);
    const [first, second] = metaOffsets(waiting.meta.transaction, waiting.meta);
    this.#isBroken = true;
    this.#file.write(bytes, first);
    between();
    this.#file.write(bytes, second);
    this.#isBroken = false;
    this.#pages.allocator.commit(waiting.meta.transaction);
    this.#previous = this.#meta;
    this.#meta = waiting.meta;
    this.#block = bytes;
    this.#generations = waiting.generations;
    this.#waiting = null;
  }

  /**
   * Returns the space of long runs of free pages to the system. Returns the bytes. Writing such pages again
   * takes longer, so this is for a file that rests.
   */
  trim(): number {
    assert(this.#waiting === null, "A file is trimmed between transactions");
    const { allocator } = this.#pages ??= this.#findPages();
    return allocator.trim(this.#meta.transaction);
  }

  /** Rolls back a transaction that was not published. */
  rollBack(): void {
    this.#source.dropReadAhead();
    this.#waiting = null;
    this.#pages = null;
  }

  #freeGenerationPages(allocator: PageAllocator): void {
    const nothing = { ...this.#meta, keyRoot: EMPTY_ROOT, rankRoot: EMPTY_ROOT };
    walkPages(nothing, this.#source, this.#file.path, (number) => {
      allocator.free(number);
      return true;
    });
  }

  /**
   * Finds the free pages, which no root reaches. A page that the transaction before did not reach either is
   * free at once.
   */
  #findPages(): { readonly allocator: PageAllocator; readonly sink: PageSink } {
    const { path } = this.#file;
    const { pageSize, pageCount, transaction } = this.#meta;
    const firstPage = firstPageOf(this.#meta);
    const fileBytes = this.#openedBytes ?? this.#file.status().size;
    this.#openedBytes = null;
    const allocator = new PageAllocator(this.#file, { pageSize, firstPage, pageCount, fileBytes });
    const live = new Uint8Array(pageCount);
    walkPages(this.#meta, this.#source, path, (number) => {
      if (live[number] !== 0) throw this.#source.corrupt(number, "two branches name this page");
      live[number] = LIVE_NOW;
      return true;
    });
    const knowsPrevious = this.#findPrevious(live);
    for (let number = firstPage; number < pageCount; number++) {
      if (live[number] === LIVE_NOW) continue;
      if (knowsPrevious && live[number] !== LIVE_BEFORE) allocator.addFree(number);
      else allocator.addPending(number, transaction);
    }
    return { allocator, sink: new PageSink(this.#file, allocator, pageSize) };
  }

  /** Finds the pages that only the transaction before uses; false if they are not known. */
  #findPrevious(live: Uint8Array): boolean {
    if (this.#meta.transaction === 0) return true;
    if (this.#previous === null) return false;
    try {
      walkPages(this.#previous, this.#source, this.#file.path, (number) => {
        if (live[number] !== 0) return false;
        live[number] = LIVE_BEFORE;
        return true;
      });
      return true;
    } catch (error) {
      // The older transaction is no longer whole. It is not needed, but then no page is used again early.
      if (error instanceof CorruptError || isReadFailure(error)) return false;
      throw error;
    }
  }
}

const LIVE_NOW = 1;
const LIVE_BEFORE = 2;
