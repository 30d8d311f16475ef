/** How this program starts itself again. */

/** Program and first arguments: the executable alone, or the runtime with the module that it runs. */
export function selfCommand(): string[] {
  if (Deno.build.standalone) return [Deno.execPath()];
  return [Deno.execPath(), "run", "--quiet", "-A", Deno.mainModule];
}
