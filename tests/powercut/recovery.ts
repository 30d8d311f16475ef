/** Recoveries that are cut, too: an image becomes a recorded disk, on which countd starts. */

import { existsSync } from "@std/fs/exists";
import { runCountd, startCountd } from "../support/process.ts";
import type { Random } from "../support/random.ts";
import { copySparse, type Cut, type CutImages } from "./cut_images.ts";
import { type DiskOptions, RecordedDisk } from "./recorded_disk.ts";
import { pause, type Recorded } from "./workload.ts";

/** So long a server works on a disk that it has found after a cut. */
const SERVE_MS = 400;

/** A recovery that was recorded in a directory of its own: the disk is `before` at its start. */
interface RecordedRecovery {
  readonly directory: string;
  readonly from: number;
  readonly to: number;
}

/** Makes the image of a cut, and records the recovery of it: a fold, or a server that is killed. */
export async function recordRecovery(
  options: Omit<DiskOptions, "flushDelayMaxMs">,
  { first, images, random }: {
    readonly first: Cut;
    readonly images: CutImages;
    readonly random: Random;
  },
): Promise<RecordedRecovery> {
  const directory = `${options.directory}/recovery`;
  Deno.mkdirSync(directory);
  await images.make(first, `${directory}/before`, random);
  await copySparse(`${directory}/before`, `${directory}/image`);
  await using disk = await RecordedDisk.make({
    ...options,
    directory,
    flushDelayMaxMs: random.pick([1, 4, 20]),
  });
  const from = 0;
  const data = `${disk.place}/data`;
  if (random.chance(0.5) && existsSync(`${data}/control`)) {
    const { code, stderr } = await runCountd(["worker", "--once", `--data=${data}`]);
    if (code !== 0) throw new Error(`worker --once after cut ${first.at}: exit ${code}: ${stderr}`);
  } else {
    const ports = ["--write-port=0", "--read-port=0"];
    await using server = startCountd(["serve", `--data=${data}`, "--sync=always", ...ports]);
    await server.listening("read");
    await pause(SERVE_MS);
    await server.kill();
  }
  return { directory, from, to: disk.now };
}

/** Of an image of a recovery the same is asked as of the first cut, which nothing came after. */
export function recoveredTwice(recorded: Recorded, first: Cut): Recorded {
  return {
    ...recorded,
    examine: (trial) => recorded.examine({ ...trial, cut: first.at }),
  };
}
