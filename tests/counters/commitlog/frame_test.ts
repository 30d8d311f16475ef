/** The head of a frame, and what a copy of a frame keeps of it. */

import { crc32 } from "node:zlib";
import { assertEquals } from "@std/assert";
import {
  FrameCodec,
  frameRecords,
  frameWallMs,
  LogBytes,
} from "../../../src/counters/commitlog/frame.ts";
import { FRAME_HEAD_BYTES, frameLayout } from "../../../src/counters/commitlog/layout.ts";
import { findFrames, headerOf, logImage, scanLog } from "../../../src/counters/commitlog/mod.ts";
import { batchOf } from "../../support/data_directory.ts";

const identity = { slot: 3, generation: 7n };
const wallMs = 1_800_000_000_123n;
const HEAD_PAGE = 4096;

/** A log with one frame. */
function logWithFrame(): { readonly log: LogBytes; readonly end: number } {
  const log = new LogBytes(new Uint8Array(65_536));
  const filler = batchOf([["ks", "k", 1n]]);
  const end = filler.fill(log.bytes, HEAD_PAGE + FRAME_HEAD_BYTES, log.bytes.length);
  const frame = {
    offset: HEAD_PAGE,
    length: end - HEAD_PAGE,
    records: 1,
    durable: HEAD_PAGE,
    wallMs,
  };
  new FrameCodec(identity).seal(log, HEAD_PAGE, frame);
  return { log, end };
}

Deno.test("A frame says when it was written", () => {
  const { log, end } = logWithFrame();
  assertEquals(new FrameCodec(identity).verify(log, HEAD_PAGE, log.bytes.length), end - HEAD_PAGE);
  assertEquals([frameRecords(log, HEAD_PAGE), frameWallMs(log, HEAD_PAGE)], [1, wallMs]);
  const { firstWallMs, lastWallMs } = scanLog(log, identity, log.bytes.length);
  assertEquals([firstWallMs, lastWallMs], [wallMs, wallMs]);
});

Deno.test("A copy of a log keeps the order of the log and the times of its frames", () => {
  const { log } = logWithFrame();
  const places = findFrames(log, identity, log.bytes.length);
  const copy = { slot: 3, generation: 9n, logSize: 65_536, claimedWallMs: 5, order: 12n };
  const { bytes } = logImage(log.bytes, places, copy);
  assertEquals(headerOf(bytes, "log")?.order, 12n);
  const scan = scanLog(new LogBytes(bytes), { slot: 3, generation: 9n }, bytes.length);
  assertEquals([scan.frames, scan.firstWallMs, scan.lastWallMs], [1, wallMs, wallMs]);
});

Deno.test("A frame whose unused fields are not zero is not a frame", () => {
  const { epoch, producer, sequence, origin, reserved } = frameLayout;
  for (const { offset, size } of [epoch, producer, sequence, origin, reserved]) {
    for (let byte = 0; byte < size; byte++) {
      const { log } = logWithFrame();
      // The checksum is right: a countd that uses the field has written it.
      log.bytes[HEAD_PAGE + offset + byte] = 1;
      resum(log);
      assertEquals(new FrameCodec(identity).verify(log, HEAD_PAGE, log.bytes.length), 0);
      log.bytes[HEAD_PAGE + offset + byte] = 0;
      resum(log);
      assertEquals(new FrameCodec(identity).verify(log, HEAD_PAGE, log.bytes.length) > 0, true);
    }
  }
});

/** Makes the checksum anew, over the bytes as they are. */
function resum(log: LogBytes): void {
  const length = log.view.getUint32(HEAD_PAGE, true);
  const seed = new DataView(new ArrayBuffer(24));
  seed.setUint32(0, identity.slot, true);
  seed.setUint32(4, length, true);
  seed.setBigUint64(8, identity.generation, true);
  seed.setBigUint64(16, BigInt(HEAD_PAGE), true);
  const body = log.bytes.subarray(HEAD_PAGE + frameLayout.durable.offset, HEAD_PAGE + length);
  const sum = crc32(body, crc32(new Uint8Array(seed.buffer)));
  log.view.setUint32(HEAD_PAGE + frameLayout.checksum.offset, sum, true);
}
