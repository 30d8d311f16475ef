/** What this project uses of `@std/cli/parse-args`. */

export interface ParseOptions<Booleans extends string, Strings extends string, Defaults> {
  /** Never takes the next argument as its value, and is false if it is not given. */
  readonly boolean?: readonly Booleans[];
  /** Is never made a number. */
  readonly string?: readonly Strings[];
  readonly default?: Defaults;
  /** Called for what is not named in the options; false leaves it out of the result. */
  readonly unknown?: (arg: string, key?: string, value?: unknown) => unknown;
}

export type Args<Booleans extends string, Strings extends string, Defaults> =
  & { readonly _: readonly (string | number)[] }
  & { readonly [Name in Booleans]: boolean }
  & { readonly [Name in Strings]: Name extends keyof Defaults ? string : string | undefined };

export function parseArgs<
  const Booleans extends string = never,
  const Strings extends string = never,
  const Defaults extends { readonly [Name in Strings]?: string } = Record<never, never>,
>(
  args: readonly string[],
  options?: ParseOptions<Booleans, Strings, Defaults>,
): Args<Booleans, Strings, Defaults>;
