/** Ending a file. A kill between two steps leaves a finished file or an open one, never a broken one. */

import { MARK_SIZE } from "../marks/magic.ts";
import type { Parts } from "./parts.ts";
import { timed } from "./region.ts";
import { countersOf } from "./stats.ts";

/** `becomesFinished` is called once the mark is stored, so that nothing is written behind it. */
export function finishFile(parts: Parts, size: number, becomesFinished: () => void): void {
  const { storage, region, marks, side, readMode, clock, stats } = parts;
  timed(clock, countersOf(stats, "finish"), () => {
    storage?.reach("aof.finish.mark.before");
    marks?.placeCheckpoint(size);
    becomesFinished();
    storage?.reach("aof.finish.mark.after");
    region.truncate(marks === null ? size : size + MARK_SIZE);
    storage?.reach("aof.finish.cut.after");
    region.chmod(readMode);
    storage?.reach("aof.finish.chmod.after");
    side?.publishFinished(size);
  });
}
