/** How this program starts itself again. */

/**
 * With what this program is compiled, and run from its sources where memory matters. V8 doubles the space
 * for new objects each time that enough of them have survived, be it after minutes, up to twice 32 MiB.
 * A server that makes few objects has no use for it, and its memory would seem to grow.
 */
export const V8_FLAGS = "--v8-flags=--max-semi-space-size=4";

/** First arguments of `Deno.execPath()`: none for the executable, the module for the runtime. */
export function selfArguments(): string[] {
  return Deno.build.standalone ? [] : ["run", "--quiet", "-A", V8_FLAGS, Deno.mainModule];
}
