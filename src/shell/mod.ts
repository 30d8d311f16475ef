/** `countd shell`: tables and counters at a prompt, or from a script. */

export { counterAccess, type CounterAccessOptions } from "./counter_access.ts";
export { History, historyPath } from "./history.ts";
export { type InteractiveOptions, runInteractive } from "./interactive.ts";
export { type Mode, MODES, type ShellOutput } from "./render.ts";
export { linesOf, runScript, type ScriptOptions } from "./script.ts";
export { Session, type SessionOptions } from "./session.ts";
