/** The door of the command line. */
export { argumentsOfProcess } from "./arguments.ts";
export { runCommandLine } from "./run.ts";
