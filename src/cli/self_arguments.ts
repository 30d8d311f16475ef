/** How this program starts itself again. */

/** First arguments of `Deno.execPath()`: none for the executable, the module for the runtime. */
export function selfArguments(): string[] {
  return Deno.build.standalone ? [] : ["run", "--quiet", "-A", Deno.mainModule];
}
