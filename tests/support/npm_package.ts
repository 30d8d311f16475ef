/**
 * Packages from npm that only one test or bench needs. npm installs them for the time of the run, into a
 * directory that the caller names. They are not in `deno.lock`: Deno's own installation fails if a
 * registry lacks one of the builds for other systems, and no other command should have to fetch them.
 */

/** Installs a package. False, after a line `not run: needs …`, if it cannot be installed. */
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
