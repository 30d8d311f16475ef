/** The head of a frame, and what a copy of a frame keeps of it. */

import { crc32 } from "node:zlib";
import { assert, assertEquals } from "@std/assert";
import { BatchCursor, batchSeed, writeBatchHead } from "../../../src/counters/commitlog/frame.ts";
import {
  batchLayout,
  FRAME_HEAD_BYTES,
  FRAME_MAGIC,
} from "../../../src/counters/commitlog/layout.ts";
import {
  findFrames,
  headerOf,
  scanLog,
  writeLogImage,
} from "../../../src/counters/commitlog/mod.ts";
import { frameLayout, LogBytes, sealFrame } from "../../../src/file/checked_log/mod.ts";
import { batchOf } from "../../support/data_directory.ts";
import { SimulatedDisk } from "../../support/simulated_disk.ts";

const identity = { slot: 3, generation: 7n };
const wallMs = 1_800_000_000_123;
const HEAD_PAGE = 4096;

/** A log with one frame. */
function logWithFrame(): { readonly log: LogBytes; readonly end: number } {
  const log = new LogBytes(new Uint8Array(65_536));
  const filler = batchOf([["ks", "k", 1n]]);
  const end = filler.fill(log.bytes, HEAD_PAGE + FRAME_HEAD_BYTES, log.bytes.length);
  const place = { magic: FRAME_MAGIC, offset: HEAD_PAGE, end, durable: HEAD_PAGE };
  writeBatchHead(log, HEAD_PAGE, { records: 1, wallMs });
  sealFrame(log, HEAD_PAGE, { ...place, seed: batchSeed(identity) });
  return { log, end };
}

Deno.test("A frame says when it was written", () => {
  const { log, end } = logWithFrame();
  const frame = new BatchCursor(log, identity);
  assert(frame.at(HEAD_PAGE, log.size));
  assertEquals([frame.end, frame.number, frame.wallMs], [end, 1, wallMs]);
  const { firstWallMs, lastWallMs } = scanLog(log, identity, { length: log.size });
  assertEquals([firstWallMs, lastWallMs], [wallMs, wallMs]);
});

Deno.test("A copy of a log keeps the order of the log and the times of its frames", () => {
  const { log } = logWithFrame();
  const places = findFrames(log, identity, log.bytes.length);
  const copy = { slot: 3, generation: 9n, logSize: 65_536, claimedWallMs: 5, order: 12n };
  const storage = new SimulatedDisk({ sizeBytes: 2 ** 20 }).process("writer");
  using file = storage.open("/log", { access: "write", create: "exclusive" });
  assertEquals(writeLogImage(file, log, places, copy), { state: "sealed", records: 1 });
  const bytes = new Uint8Array(file.status().size);
  file.read(bytes, 0);
  assertEquals(headerOf(bytes, "log")?.order, 12n);
  const scan = scanLog(new LogBytes(bytes), { slot: 3, generation: 9n }, {
    length: bytes.length,
  });
  assertEquals([scan.frames, scan.firstWallMs, scan.lastWallMs], [1, wallMs, wallMs]);
});

Deno.test("A frame whose unused fields are not zero is not a frame", () => {
  const { epoch, producer, sequence, origin } = batchLayout;
  const { kind, flags } = frameLayout;
  for (const { offset, size } of [epoch, producer, sequence, origin, kind, flags]) {
    for (let byte = 0; byte < size; byte++) {
      const { log } = logWithFrame();
      // The checksum is right: a countd that uses the field has written it.
      log.bytes[HEAD_PAGE + offset + byte] = 1;
      resum(log);
      assertEquals(new BatchCursor(log, identity).at(HEAD_PAGE, log.size), false);
      log.bytes[HEAD_PAGE + offset + byte] = 0;
      resum(log);
      assertEquals(new BatchCursor(log, identity).at(HEAD_PAGE, log.size), true);
    }
  }
});

Deno.test("A frame of another slot, generation or place never verifies", () => {
  const { log, end } = logWithFrame();
  for (
    const [slot, generation] of [[3, 6n], [3, 8n], [3, 7n + 2n ** 32n], [2, 7n], [7, 3n]] as const
  ) {
    assertEquals(new BatchCursor(log, { slot, generation }).at(HEAD_PAGE, log.size), false);
  }
  for (let offset = HEAD_PAGE + 8; offset + end <= 16_384; offset += 8) {
    const moved = new LogBytes(new Uint8Array(65_536));
    moved.bytes.set(log.bytes.subarray(HEAD_PAGE, end), offset);
    assertEquals(new BatchCursor(moved, identity).at(offset, moved.size), false);
  }
});

/** Makes the checksum anew, over the bytes as they are. */
function resum(log: LogBytes): void {
  const length = log.view.getUint32(HEAD_PAGE, true);
  const owner = new DataView(new ArrayBuffer(12));
  owner.setUint32(0, identity.slot, true);
  owner.setBigUint64(4, identity.generation, true);
  const seed = crc32(new Uint8Array(owner.buffer)) ^ Math.imul(HEAD_PAGE / 8, 0x9e3779b1) ^
    Math.imul(length, 0xc2b2ae35);
  const body = log.bytes.subarray(HEAD_PAGE + frameLayout.durable.offset, HEAD_PAGE + length);
  log.view.setUint32(HEAD_PAGE + frameLayout.checksum.offset, crc32(body, seed >>> 0), true);
}
