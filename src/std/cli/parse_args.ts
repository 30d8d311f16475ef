/**
 * The stand-in for `@std/cli/parse-args`: same names, same signature, same results, for the options
 * named in `ParseOptions`. Left out of the real one: `boolean: true` (every flag) and names with
 * aliases of other types than text.
 */

type Names<Name extends string> = Name | readonly Name[];

/** What the arguments may be. As in `@std/cli`. */
export interface ParseOptions<
  Booleans extends string = string,
  Strings extends string = string,
  Collectable extends string = string,
  Defaults extends Record<string, unknown> | undefined = Record<string, unknown> | undefined,
  DoubleDash extends boolean | undefined = boolean | undefined,
> {
  /** Put what follows `--` into `["--"]` instead of `_`. */
  "--"?: DoubleDash;
  /** Other names of a name. A value under one of them stands under all of them. */
  alias?: Record<string, Names<string>>;
  /** Never takes the next argument for its value, and is false when it is not given. */
  boolean?: Names<Booleans>;
  /** Is never made a number; the name `_` stands for the arguments that are not options. */
  string?: Names<Strings>;
  /** Gathers all its values in a list. */
  collect?: Names<Collectable>;
  /** `--no-NAME` makes it false. */
  negatable?: Names<string>;
  default?: Defaults;
  /** Everything after the first argument that is not an option goes into `_` as it is. */
  stopEarly?: boolean;
  /** Called for what is not named in the options; false leaves it out of the result. */
  unknown?: (arg: string, key?: string, value?: unknown) => unknown;
}

/** What `parseArgs` found, under the names. As in `@std/cli`. */
export type Args<
  Booleans extends string = string,
  Strings extends string = string,
  Collectable extends string = string,
  Defaults = undefined,
  DoubleDash = undefined,
> =
  & { [x: string]: unknown; _: Array<string | number> }
  & {
    [Name in Exclude<Booleans | Strings | Collectable, KeyOf<Defaults>>]:
      | ValueOf<Name, Booleans, Strings, Collectable>
      | (Name extends Booleans | Collectable ? never : undefined);
  }
  & {
    [Name in KeyOf<Defaults>]: Name extends Booleans | Strings | Collectable
      ? ValueOf<Name, Booleans, Strings, Collectable> | Defaults[Name & keyof Defaults]
      : unknown;
  }
  & (DoubleDash extends true ? { "--": string[] } : unknown);

type KeyOf<Defaults> = Defaults extends Record<string, unknown> ? keyof Defaults & string : never;

type ValueOf<Name, Booleans, Strings, Collectable> = Name extends Collectable
  ? OneOf<Name, Booleans, Strings>[]
  : OneOf<Name, Booleans, Strings>;

type OneOf<Name, Booleans, Strings> = Name extends Strings ? string
  : Name extends Booleans ? boolean
  : unknown;

type Value = string | number | boolean;
type Tree = { [name: string]: unknown };

/**
 * Options and arguments of a command line, as `@std/cli` reads them: `--name value`,
 * `--name=value`, `--flag`, `-n value`, `-nvalue`, `-abc`. What looks like a number becomes one,
 * except under a name of `string`.
 */
export function parseArgs<
  const Booleans extends string = never,
  const Strings extends string = never,
  const Collectable extends string = never,
  const Defaults extends Record<string, unknown> | undefined = undefined,
  const DoubleDash extends boolean | undefined = undefined,
>(
  args: readonly string[],
  options: ParseOptions<Booleans, Strings, Collectable, Defaults, DoubleDash> = {},
): Args<Booleans, Strings, Collectable, Defaults, DoubleDash> {
  const parser = new Parser(options as ParseOptions);
  return parser.parse(args) as Args<Booleans, Strings, Collectable, Defaults, DoubleDash>;
}

class Parser {
  readonly #aliases = new Map<string, Set<string>>();
  readonly #booleans: Set<string>;
  readonly #strings: Set<string>;
  readonly #collected: Set<string>;
  readonly #negatable: Set<string>;
  readonly #found: Tree = { _: [] };

  constructor(readonly options: ParseOptions) {
    for (const [name, others] of Object.entries(options.alias ?? {})) {
      const group = [name, ...listOf(others)];
      for (const member of group) {
        this.#aliases.set(member, new Set(group.filter((other) => other !== member)));
      }
    }
    this.#booleans = this.#withAliases(options.boolean);
    this.#strings = this.#withAliases(options.string);
    this.#collected = this.#withAliases(options.collect);
    this.#negatable = this.#withAliases(options.negatable);
  }

  #withAliases(names: Names<string> | undefined): Set<string> {
    const own = listOf(names).filter((name) => name !== "");
    return new Set(own.flatMap((name) => [name, ...this.#aliases.get(name) ?? []]));
  }

  parse(args: readonly string[]): Tree {
    const end = args.indexOf("--");
    const words = end < 0 ? args : args.slice(0, end);
    const unparsed = end < 0 ? [] : args.slice(end + 1);
    let index = 0;
    while (index < words.length) {
      const word = words[index] as string;
      const next = words[index + 1];
      const long = /^--(no-)?(.+?)(?:=(.*))?$/s.exec(word);
      if (long !== null) {
        const [, no, name, inline] = long;
        index += inline === undefined
          ? this.#long(word, name as string, no !== undefined, next)
          : this.#inline(word, name as string, inline);
      } else if (/^-./s.test(word)) {
        index += this.#short(word, next);
      } else {
        index += 1;
        this.#argument(word);
        if (this.options.stopEarly) {
          this.#rest().push(...words.slice(index));
          break;
        }
      }
    }
    this.#fillIn();
    if (this.options["--"]) this.#found["--"] = unparsed;
    else this.#rest().push(...unparsed);
    return this.#found;
  }

  /** `--name=value`. The real one reads `--no-name=value` as `--name=value`. */
  #inline(word: string, name: string, value: string): number {
    this.#set(word, name, this.#booleans.has(name) ? value !== "false" : value);
    return 1;
  }

  /** `--name`, `--name value`, `--no-name`. Returns the words it took. */
  #long(word: string, name: string, negated: boolean, next: string | undefined): number {
    if (negated && this.#negatable.has(name)) {
      this.#set(word, name, false, { collect: false });
      return 1;
    }
    const mayTake = !(next ?? "").startsWith("-");
    return this.#withNext(word, negated ? `no-${name}` : name, next, mayTake);
  }

  /** `-abc`, `-n5`, `-n=5`, `-n value`. Returns the words it took. */
  #short(word: string, next: string | undefined): number {
    for (let at = 1; at < word.length - 1; at++) {
      const letter = word[at] as string;
      const after = word.slice(at + 1);
      if (after === "-") {
        this.#set(word, letter, after);
        continue;
      }
      const value = this.#glued(letter, after, at + 1 < word.length - 1);
      if (value !== undefined) {
        this.#set(word, letter, value);
        return 1;
      }
      this.#set(word, letter, this.#bare(letter));
    }
    const last = word.at(-1) as string;
    if (last === "-") return 1;
    return this.#withNext(word, last, next, !/^--?[^-]/.test(next ?? ""));
  }

  /** The value that is glued to a letter: `-n=5`, `-n5`, `-n/path`. */
  #glued(letter: string, after: string, more: boolean): string | undefined {
    if (after === "=") return "";
    if (/[A-Za-z]/.test(letter)) {
      const behindEquals = /=(.+)/.exec(after)?.[1];
      if (behindEquals !== undefined) return behindEquals;
      if (/-?\d+(\.\d*)?(e-?\d+)?$/.test(after)) return after;
    }
    return more && /^\W/.test(after) ? after : undefined;
  }

  /** Gives `name` the next word when it may take it. Returns the words it took. */
  #withNext(word: string, name: string, next: string | undefined, mayTake: boolean): number {
    if (next) {
      const aliases = this.#aliases.get(name) ?? [];
      const isBoolean = this.#booleans.has(name) ||
        [...aliases].some((alias) => this.#booleans.has(alias));
      if (mayTake && !isBoolean) {
        this.#set(word, name, next);
        return 2;
      }
      if (next === "true" || next === "false") {
        this.#set(word, name, next === "true");
        return 2;
      }
    }
    this.#set(word, name, this.#bare(name));
    return 1;
  }

  /** The list under `_`. */
  #rest(): (string | number)[] {
    return this.#found._ as (string | number)[];
  }

  #bare(name: string): Value {
    return this.#strings.has(name) ? "" : true;
  }

  #argument(word: string): void {
    if (this.options.unknown?.(word) === false) return;
    this.#rest().push(this.#strings.has("_") || !isNumber(word) ? word : Number(word));
  }

  #set(word: string, name: string, value: Value, { collect } = { collect: true }): void {
    const known = [this.#booleans, this.#strings, this.#aliases, this.#collected]
      .some((names) => names.has(name));
    if (!known && this.options.unknown?.(word, name, value) === false) return;
    const converted = typeof value === "string" && !this.#strings.has(name) && isNumber(value)
      ? Number(value)
      : value;
    const gather = collect && this.#collected.has(name);
    for (const each of [name, ...this.#aliases.get(name) ?? []]) {
      setIn(this.#found, each.split("."), converted, gather);
    }
  }

  /** Defaults, false for booleans, and empty lists, for what was not given. */
  #fillIn(): void {
    for (const [name, value] of Object.entries(this.options.default ?? {})) {
      if (hasIn(this.#found, name.split("."))) continue;
      for (const each of [name, ...this.#aliases.get(name) ?? []]) {
        setIn(this.#found, each.split("."), value, false);
      }
    }
    for (const name of [...this.#booleans, ...this.#strings]) {
      if (hasIn(this.#found, name.split("."))) continue;
      if (this.#collected.has(name)) setIn(this.#found, name.split("."), [], false);
      else if (this.#booleans.has(name)) setIn(this.#found, name.split("."), false, false);
    }
  }
}

function listOf(names: Names<string> | undefined): readonly string[] {
  return names === undefined ? [] : typeof names === "string" ? [names] : names;
}

function isNumber(text: string): boolean {
  return /\S/.test(text) && Number.isFinite(Number(text));
}

/** Names that would reach into the prototype are left out, as in the real one. */
function isPrototypeName(tree: Tree, name: string): boolean {
  return name === "__proto__" || (name === "constructor" && typeof tree[name] === "function");
}

/** A name with points stands for a tree: `a.b` is `{ a: { b } }`. */
function setIn(tree: Tree, path: readonly string[], value: unknown, gather: boolean): void {
  const name = path.at(-1) as string;
  for (const branch of path.slice(0, -1)) {
    if (isPrototypeName(tree, branch)) return;
    tree = (tree[branch] ??= {}) as Tree;
  }
  if (isPrototypeName(tree, name)) return;
  const before = tree[name];
  if (!gather) tree[name] = value;
  else if (Array.isArray(before)) before.push(value);
  else tree[name] = before ? [before, value] : [value];
}

function hasIn(tree: unknown, path: readonly string[]): boolean {
  for (const name of path) {
    if (tree === null || tree === undefined || !Object.hasOwn(tree, name)) return false;
    tree = (tree as Tree)[name];
  }
  return true;
}
