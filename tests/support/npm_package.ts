/**
 * Packages from npm that only a test or a bench needs. npm installs them into a directory of the caller's,
 * for the time of the run: Deno's own installation fails where a registry lacks one of the builds for
 * other systems, and nobody else should have to fetch them.
 */

/** False where the package cannot be had: then it says `not run: needs …`. */
export async function installPackage(name: string, directory: string): Promise<boolean> {
  const { success } = await new Deno.Command("npm", {
    args: ["install", "--no-audit", "--no-fund", "--prefix", directory, name],
    stdin: "null",
    stdout: "null",
    stderr: "null",
  }).output();
  if (!success) console.log(`not run: needs ${name} from npm`);
  return success;
}
