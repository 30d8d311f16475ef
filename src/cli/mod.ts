/** The door of the command line. */
export { runCommandLine } from "./run.ts";
