/** Every numbered rule is broken on purpose, and check reports its number. */

import { assert, assertEquals } from "@std/assert";
import { crc32 } from "node:zlib";
import { systemStorage } from "../../../src/file/mod.ts";
import { checkTreeFile } from "../../../src/counters/tree/mod.ts";
import { withTemporaryDirectory } from "../../support/temporary.ts";
import { TreeFixture } from "./open_tree.ts";
import { commit, type Pair } from "./toy_counters.ts";

const PAGE = 1024;
const BLOCK = 512;
const FIRST_PAGE = 2;

/** A file in memory whose pages can be changed together with their checksums. */
class Forgery {
  readonly view: DataView;

  constructor(readonly bytes: Uint8Array) {
    this.view = new DataView(bytes.buffer);
  }

  /** Numbers of the pages in use of a kind, by the newest births. */
  pages(kind: number): number[] {
    const numbers: number[] = [];
    for (let number = FIRST_PAGE; number * PAGE < this.bytes.length; number++) {
      if (this.view.getUint8(number * PAGE + 16) === kind) numbers.push(number);
    }
    return numbers;
  }

  sealPage(number: number): void {
    const start = number * PAGE;
    this.view.setUint32(start, crc32(this.bytes.subarray(start + 4, start + PAGE)), true);
  }

  sealMeta(block: number): void {
    const start = block * BLOCK;
    const head = crc32(this.bytes.subarray(start, start + 12));
    const body = this.bytes.subarray(start + 16, start + BLOCK);
    this.view.setUint32(start + 12, crc32(body, head), true);
  }
}

const KEY_LEAF = 1;
const RANK_LEAF = 2;
const KEY_BRANCH = 3;
const RANK_BRANCH = 4;
const GENERATIONS = 5;

/** One commit: every page of the file is in use. */
async function violationsAfter(forge: (file: Forgery) => void): Promise<Set<number>> {
  return await withTemporaryDirectory((directory) => {
    using fixture = new TreeFixture(directory);
    const pairs = Array.from({ length: 200 }, (_, key): Pair => [`key${1000 + key}`, BigInt(key)]);
    commit(fixture.writer, pairs, { generations: new Map([[500, 9n]]) });
    fixture.assertSound();
    const forgery = new Forgery(Deno.readFileSync(fixture.path));
    forge(forgery);
    Deno.writeFileSync(`${directory}/forged`, forgery.bytes);
    const violations = checkTreeFile(systemStorage(), `${directory}/forged`);
    assert(violations.every(({ path }) => path === `${directory}/forged`));
    return new Set(violations.map(({ invariant }) => invariant));
  });
}

const breaks: readonly {
  readonly invariant: number;
  readonly what: string;
  readonly forge: (file: Forgery) => void;
}[] = [
  {
    invariant: 1,
    what: "no meta block is valid",
    forge: ({ bytes }) => bytes.fill(1, 0, 4 * BLOCK),
  },
  {
    invariant: 1,
    what: "blocks of two transactions are damaged",
    forge: ({ bytes }) => {
      bytes[50] = 77;
      bytes[BLOCK + 50] = 77;
    },
  },
  {
    invariant: 1,
    what: "a reserved byte is not 0",
    forge: (file) => {
      for (const block of [0, 1, 2, 3]) {
        file.bytes[block * BLOCK + 150] = 1;
        file.sealMeta(block);
      }
    },
  },
  {
    invariant: 2,
    what: "the high-water mark lies past the end",
    forge: (file) => {
      for (const block of [1, 3]) {
        file.view.setUint32(block * BLOCK + 48, 100_000, true);
        file.sealMeta(block);
      }
    },
  },
  {
    invariant: 3,
    what: "a page has a wrong checksum",
    forge: (file) => file.bytes[file.pages(KEY_LEAF)[1]! * PAGE + 100]! ^= 1,
  },
  {
    invariant: 3,
    what: "a page has another number",
    forge: (file) => {
      const [number] = file.pages(RANK_LEAF);
      file.view.setUint32(number! * PAGE + 4, 12345, true);
      file.sealPage(number!);
    },
  },
  {
    invariant: 3,
    what: "a page has another birth",
    forge: (file) => {
      const [number] = file.pages(RANK_LEAF);
      file.view.setUint32(number! * PAGE + 8, 2, true);
      file.sealPage(number!);
    },
  },
  {
    invariant: 3,
    what: "a branch names a page that does not exist",
    forge: (file) => {
      const [number] = file.pages(KEY_BRANCH);
      file.view.setUint32(number! * PAGE + 32, 50_000, true);
      file.sealPage(number!);
    },
  },
  {
    invariant: 4,
    what: "a branch names one child twice",
    forge: (file) => {
      const start = file.pages(KEY_BRANCH)[0]! * PAGE;
      file.view.setUint32(start + 32 + 20, file.view.getUint32(start + 32, true), true);
      file.sealPage(start / PAGE);
    },
  },
  {
    invariant: 4,
    what: "a branch names itself",
    forge: (file) => {
      const number = file.pages(RANK_BRANCH)[0]!;
      file.view.setUint32(number * PAGE + 32, number, true);
      file.sealPage(number);
    },
  },
  {
    invariant: 5,
    what: "a key leaf has a column of no legal width",
    forge: (file) => {
      const number = file.pages(KEY_LEAF)[1]!;
      file.view.setUint8(number * PAGE + 22, 3);
      file.sealPage(number);
    },
  },
  {
    invariant: 5,
    what: "a rank leaf has a slot that points elsewhere",
    forge: (file) => {
      const number = file.pages(RANK_LEAF)[1]!;
      file.view.setUint16(number * PAGE + PAGE - 4, 33, true);
      file.sealPage(number);
    },
  },
  {
    invariant: 5,
    what: "unused bytes are not 0",
    forge: (file) => {
      const number = file.pages(KEY_BRANCH)[0]!;
      file.view.setUint8(number * PAGE + PAGE - 1, 1);
      file.sealPage(number);
    },
  },
  {
    invariant: 5,
    what: "a key holds NUL",
    forge: (file) => {
      const number = file.pages(RANK_LEAF)[0]!;
      file.view.setUint8(number * PAGE + 32 + 10 + 3, 0);
      file.sealPage(number);
    },
  },
  {
    invariant: 6,
    what: "two keys of a leaf have changed places",
    forge: (file) => {
      const number = file.pages(KEY_LEAF)[0]!;
      const end = number * PAGE + file.view.getUint16(number * PAGE + 24, true);
      const last = file.bytes[end - 1]!;
      // Rests of keys are two or three digits; the last one becomes the smallest.
      file.bytes.fill(0x2f, end - 2, end);
      assert(last !== 0x2f);
      file.sealPage(number);
    },
  },
  {
    invariant: 7,
    what: "two rows of a rank leaf have changed places",
    forge: (file) => {
      const start = file.pages(RANK_LEAF)[1]! * PAGE + 32;
      const row = file.bytes.slice(start, start + 17);
      file.bytes.copyWithin(start, start + 17, start + 34);
      file.bytes.set(row, start + 17);
      file.sealPage(Math.floor(start / PAGE));
    },
  },
  {
    invariant: 7,
    what: "a leaf ends behind the separator of the next",
    forge: (file) => {
      const number = file.pages(RANK_LEAF)[0]!;
      const start = number * PAGE;
      const rows = file.view.getUint16(start + 18, true);
      const last = start + file.view.getUint16(start + PAGE - 2 * rows, true);
      file.view.setBigInt64(last, -1000n, true);
      file.sealPage(number);
    },
  },
  {
    invariant: 8,
    what: "a branch counts a row too many",
    forge: (file) => {
      const number = file.pages(RANK_BRANCH)[0]!;
      const sum = number * PAGE + 32 + 12;
      file.view.setUint32(sum, file.view.getUint32(sum, true) + 1, true);
      file.sealPage(number);
    },
  },
  {
    invariant: 8,
    what: "the roots count a row too few",
    forge: (file) => {
      for (const block of [1, 3]) {
        for (const root of [80, 104]) {
          file.view.setUint32(block * BLOCK + root + 16, 198, true);
        }
        file.sealMeta(block);
      }
    },
  },
  {
    invariant: 9,
    what: "a count differs between the orders",
    forge: (file) => {
      const number = file.pages(KEY_LEAF)[0]!;
      file.view.setUint8(number * PAGE + 32 + 5, 77);
      file.sealPage(number);
    },
  },
  {
    invariant: 10,
    what: "the generations of a page belong to other slots",
    forge: (file) => {
      const number = file.pages(GENERATIONS)[0]!;
      file.view.setUint32(number * PAGE + 32 + 16, 449, true);
      file.sealPage(number);
    },
  },
  {
    invariant: 11,
    what: "the meta block has another sum than the counters",
    forge: (file) => {
      for (const block of [1, 3]) {
        file.view.setUint32(block * BLOCK + 64, 19_901, true);
        file.sealMeta(block);
      }
    },
  },
];

for (const { invariant, what, forge } of breaks) {
  Deno.test(`Check reports rule ${invariant} when ${what}`, async () => {
    const found = await violationsAfter(forge);
    assert(found.has(invariant), `found ${JSON.stringify([...found])}`);
  });
}

Deno.test("Check reports every numbered rule", () => {
  const tested = new Set(breaks.map(({ invariant }) => invariant));
  assertEquals([...tested].sort((a, b) => a - b), [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11]);
});
