/** Clients of the two ports. */

export type { Patience, ServerAddress } from "./connection.ts";
export { AnswerReader } from "./answer_reader.ts";
export { LineEncoder } from "./line_encoder.ts";
export { type LoadHooks, loadLines } from "./load.ts";
export { Progress, type ProgressState, progressText } from "./progress.ts";
export { DamagedOnServerError, ReadClient } from "./read_client.ts";
export { WriteClient } from "./write_client.ts";
