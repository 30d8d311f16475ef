/** Runs one command, from its arguments to its exit code. */
import type { Clock } from "../base/clock.ts";
import { systemClock } from "../base/clock.ts";
import { UsageError } from "../base/errors.ts";
import { FORMAT_VERSION, VERSION } from "../base/version.ts";
import { toJson } from "../base/printable.ts";
import { EventLines, type LogFormat } from "./event_lines.ts";
import { EXIT_CODES, type ExitCode } from "./exit_codes.ts";
import { helpOfAll, helpOfGroup, helpOfVerb } from "./kit/help.ts";
import { MessageSink } from "./message_sink.ts";
import { BrokenPipe, Output, type Sink } from "./output.ts";
import { type Parsed, parseVerb } from "./kit/parse.ts";
import { ServiceManager } from "./service_manager.ts";
import { watchSignals } from "./signals.ts";
import { VERBS } from "./table.ts";
import { type Context, isGroup, type Verb, type VerbGroup } from "./verb.ts";

/** What a command uses of its process; a test passes its own. */
export interface Environment {
  readonly stdout: Sink;
  readonly stderr: Sink;
  /** The descriptor of `stderr`, to which a daemon writes without waiting; null if there is none. */
  readonly stderrDescriptor: number | null;
  readonly stdin: { readonly readable: ReadableStream<Uint8Array>; isTerminal(): boolean };
  variables(name: string): string | undefined;
  readonly clock: Clock;
}

/** Returns the environment of this process. */
export function processEnvironment(): Environment {
  return {
    stdout: Deno.stdout,
    stderr: Deno.stderr,
    stderrDescriptor: 2,
    stdin: Deno.stdin,
    variables: variable,
    clock: systemClock,
  };
}

/** Throws `UsageError` for a value that is not UTF-8: the runtime cannot give it. */
function variable(name: string): string | undefined {
  try {
    return Deno.env.get(name);
  } catch (cause) {
    throw new UsageError(`Environment variable ${name} must be UTF-8 text`, { cause });
  }
}

/** Runs `countd WORDS…` and returns its exit code; never throws. */
export async function runCommandLine(
  words: readonly string[],
  environment: Environment = processEnvironment(),
): Promise<ExitCode> {
  const noColor = hasValue(environment, "NO_COLOR");
  const stdout = new Output(environment.stdout, noColor);
  const messages = new MessageSink(environment.stderr);
  const stderr = new Output(messages, noColor);
  try {
    const code = await dispatch(words, { stdout, stderr, messages, environment });
    stdout.flush();
    stderr.flush();
    return code;
  } catch (error) {
    if (error instanceof BrokenPipe) return EXIT_CODES.ok;
    return await report(error, { words, stdout, stderr });
  } finally {
    messages.tellLost();
  }
}

/** True for any value, also for one that is not text. */
function hasValue(environment: Environment, name: string): boolean {
  try {
    return (environment.variables(name) ?? "") !== "";
  } catch {
    return true;
  }
}

interface Streams {
  readonly stdout: Output;
  readonly stderr: Output;
  /** What `stderr` writes to. */
  readonly messages: MessageSink;
  readonly environment: Environment;
}

async function dispatch(words: readonly string[], streams: Streams): Promise<ExitCode> {
  const [first, ...rest] = words;
  if (first === "--help") return show(helpOfAll(VERBS), streams);
  if (first === "--version") return show(versionText(), streams);
  if (first === undefined) throw new UsageError("No verb is named; see countd --help");
  const entry = VERBS.find((known) => known.name === first);
  if (entry === undefined) throw new UsageError(`Unknown verb "${first}"; see countd --help`);
  return await (isGroup(entry)
    ? dispatchGroup(entry, rest, streams)
    : runVerb(entry, "", rest, streams));
}

async function dispatchGroup(
  group: VerbGroup,
  words: readonly string[],
  streams: Streams,
): Promise<ExitCode> {
  const prefix = group.name + " ";
  const [first, ...rest] = words;
  if (first === "--help") return show(helpOfGroup(group), streams);
  const named = group.verbs.find((verb) => verb.name === first);
  if (named !== undefined) return await runVerb(named, prefix, rest, streams);
  const fallback = group.verbs.find((verb) => verb.name === group.defaultVerb);
  if (fallback !== undefined && (first === undefined || first.startsWith("-"))) {
    return await runVerb(fallback, prefix, words, streams);
  }
  const wrong = first === undefined
    ? `countd ${group.name} needs a verb`
    : `Unknown verb "${group.name} ${first}"`;
  throw new UsageError(`${wrong}; see countd ${group.name} --help`);
}

/** Prints a text instead of running a verb. */
function show(text: string, { stdout }: Streams): ExitCode {
  stdout.write(text);
  return EXIT_CODES.ok;
}

async function runVerb(
  verb: Verb,
  prefix: string,
  words: readonly string[],
  streams: Streams,
): Promise<ExitCode> {
  const environment = streams.environment.variables;
  const parsed = parseVerb(verb, words, { prefix, environment });
  if (parsed.help) return show(helpOfVerb(verb, prefix), streams);
  const context = await contextFor(parsed, streams);
  try {
    return await verb.run(context) ?? EXIT_CODES.ok;
  } catch (error) {
    // With --log-format json, report the failure as JSON too.
    if (parsed.options["logFormat"] !== "json" || error instanceof BrokenPipe) throw error;
    const { failureOf } = await import("./failure.ts");
    const { code, name, message, stack } = failureOf(error);
    const fields = { code, name, ...(stack === undefined ? {} : { stack }) };
    context.events.report("error", message, fields);
    return code;
  }
}

async function contextFor(parsed: Parsed, streams: Streams): Promise<Context> {
  const { stdout, stderr, messages, environment } = streams;
  // Loaded here, so that help and versions start fast. The last, so that a failure needs no descriptor.
  const file = await import("../file/mod.ts");
  await import("./failure.ts");
  const { FaultPlan, systemStorage } = file;
  const { notifyServiceManager } = await import("../net/mod.ts");
  let storage: ReturnType<typeof systemStorage> | undefined;
  let signal: AbortSignal | undefined;
  const format = (parsed.options["logFormat"] ?? "logfmt") as LogFormat;
  const manager = new ServiceManager(environment.variables, notifyServiceManager);
  const events = new EventLines(stderr, environment.clock, format);
  // Daemons, and only daemons, have this option.
  if ("logFormat" in parsed.options && environment.stderrDescriptor !== null) {
    messages.stopWaiting({
      writeNow: file.writerWithoutWaiting(environment.stderrDescriptor),
      lostLine: (lines) => events.line("warn", "lines lost: stderr took none", { lines }),
    });
  }
  const announce = (message: string) => {
    if (format === "json") return events.report("info", message);
    stderr.line(message);
    stderr.flush();
  };
  return {
    options: parsed.options,
    positionals: parsed.positionals,
    json: parsed.json,
    stdout,
    stderr,
    stdin: environment.stdin,
    get storage() {
      return storage ??= systemStorage({
        fault: FaultPlan.parse(environment.variables("COUNTD_FAULT")),
      });
    },
    clock: environment.clock,
    events,
    get signal() {
      if (signal === undefined) {
        signal = watchSignals(file);
        signal.addEventListener("abort", () => manager.stopping());
      }
      return signal;
    },
    announce,
    ready(message) {
      announce(message);
      manager.ready();
    },
    get lostLines() {
      return messages.lostInAll;
    },
    environment: environment.variables,
    table: VERBS,
    originOf: (option) => parsed.origins[option] ?? "default",
  };
}

/** Reports a failure: on stderr, or as one JSON object on stdout if `--json` was given. */
async function report(
  error: unknown,
  { words, stdout, stderr }: { words: readonly string[]; stdout: Output; stderr: Output },
): Promise<ExitCode> {
  const { failureOf } = await import("./failure.ts");
  const { code, name, message, stack } = failureOf(error);
  let isReported = false;
  try {
    stdout.flush();
    if (wantsJson(words)) {
      stdout.line(toJson({ error: { code, name, message } }));
      stdout.flush();
      isReported = true;
    }
  } catch (error) {
    // A failed write to stdout must not hide the first failure.
    if (error instanceof BrokenPipe) return code;
  }
  if (!isReported) stderr.line(`countd: ${message}`);
  if (stack !== undefined) stderr.line(stack);
  stderr.flush();
  return code;
}

/** Looks at the raw arguments, so that parse errors honour --json as well. */
function wantsJson(words: readonly string[]): boolean {
  const end = words.indexOf("--");
  return words.slice(0, end < 0 ? words.length : end).includes("--json");
}

function versionText(): string {
  const { deno, v8 } = Deno.version;
  return `countd ${VERSION}\ndeno ${deno}\nv8 ${v8}\nformat ${FORMAT_VERSION}\n`;
}
