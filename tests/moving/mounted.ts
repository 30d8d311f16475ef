/** File systems that are mounted over a folder for one cell. All need root. */

import { runProgram } from "../support/process.ts";

async function run(...command: string[]): Promise<void> {
  const { code, stderr } = await runProgram(command);
  if (code !== 0) throw new Error(`${command.join(" ")}: ${stderr}`);
}

/** Puts a copy of `folder`, on a file system in memory, over it; returns where the file system is. */
export async function mountInMemory(folder: string, aside: string): Promise<string> {
  const disk = `${aside}/disk`;
  Deno.mkdirSync(disk);
  await run("mount", "-t", "tmpfs", "-o", "size=16m", "tmpfs", disk);
  await run("cp", "-a", "--sparse=always", folder, `${disk}/folder`);
  await run("mount", "--bind", `${disk}/folder`, folder);
  return disk;
}

/** Fills a file system to its last block. */
export function fill(disk: string): void {
  for (const size of [65_536, 4096]) {
    try {
      const chunk = new Uint8Array(size);
      while (true) Deno.writeFileSync(`${disk}/filler`, chunk, { append: true });
    } catch (error) {
      if (!/No space left/.test(String(error))) throw error;
    }
  }
}

/** Makes a folder read-only by a second mount of it. */
export async function mountReadOnly(folder: string): Promise<void> {
  await run("mount", "--bind", folder, folder);
  await run("mount", "-o", "remount,bind,ro", folder);
}

/** Mounts an overlay over a folder, which becomes its lower layer. */
export async function mountOverlay(folder: string, aside: string): Promise<void> {
  for (const name of ["upper", "work"]) Deno.mkdirSync(`${aside}/${name}`);
  const layers = `lowerdir=${folder},upperdir=${aside}/upper,workdir=${aside}/work`;
  await run("mount", "-t", "overlay", "-o", layers, "overlay", folder);
}

/** Unmounts everything below a directory, the last mount first. */
export async function unmountBelow(directory: string): Promise<void> {
  const places = Deno.readTextFileSync("/proc/self/mounts").split("\n")
    .map((line) => line.split(" ")[1] ?? "")
    .filter((place) => place.startsWith(`${directory}/`));
  for (const place of places.reverse()) await run("umount", "-l", place);
}
