export { parseArgs } from "./parse_args.ts";
