/** A btrfs of its own for tests that run as root: an image on a loop device. */

import { runProgram } from "./process.ts";

/** The smallest image that `mkfs.btrfs` takes has 109 MiB. It is sparse. */
const IMAGE_BYTES = 128 * 1024 * 1024;

async function hasRun(...command: string[]): Promise<boolean> {
  return (await runProgram(command)).code === 0;
}

export class BtrfsDisk implements AsyncDisposable {
  private constructor(readonly place: string) {}

  /** Mounts a new one on `place`; null if this machine does not support it. */
  static async mount(image: string, place: string): Promise<BtrfsDisk | null> {
    Deno.writeFileSync(image, new Uint8Array());
    Deno.truncateSync(image, IMAGE_BYTES);
    Deno.mkdirSync(place);
    const isMade = await hasRun("mkfs.btrfs", "-q", "-m", "single", "-d", "single", image) &&
      await hasRun("mount", "-o", "loop,commit=1", image, place);
    return isMade ? new BtrfsDisk(place) : null;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await hasRun("umount", "-l", this.place);
  }
}
