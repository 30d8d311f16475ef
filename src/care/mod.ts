/** The door of looking after a data directory and an installation. */

export { examine, type Finding } from "./doctor.ts";
