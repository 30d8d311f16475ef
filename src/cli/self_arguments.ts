/** How this program starts another process of itself. */

/**
 * The flag of V8 with which countd is compiled, and run from its sources if memory matters. V8 doubles
 * the space for new objects whenever enough of them have survived, up to twice 32 MiB, even after
 * minutes. A server that makes few objects does not need it, and its memory would seem to grow.
 */
export const V8_FLAGS = "--v8-flags=--max-semi-space-size=4";

/** Returns the first arguments of `Deno.execPath()`: none if countd is compiled, else those of `deno run`. */
export function selfArguments(): string[] {
  return Deno.build.standalone ? [] : ["run", "--quiet", "-A", V8_FLAGS, Deno.mainModule];
}
