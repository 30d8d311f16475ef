/**
 * What a power cut keeps. A page that was dirtied since the last flush is kept sector by sector. A change of
 * a directory or of a mode is kept or not, independent of all data and of other changes. The size of a
 * file is any that it had since its last sync.
 */

import type { Random } from "./random.ts";

const ALL_SECTORS = 0xff;

export interface Cut {
  readonly name: string;
  /** Is change number `index` of `count` pending changes of names and modes kept? */
  keepsChange(index: number, count: number): boolean;
  /** Which of the sizes since the last sync (the durable one first, the live one last) is kept? */
  sizeIndex(count: number): number;
  /** Bit mask of the sectors of dirty page number `page` that are kept. */
  sectors(page: number): number;
}

function cut(name: string, changes: boolean, sectors: number): Cut {
  return {
    name,
    keepsChange: () => changes,
    sizeIndex: (count) => sectors === 0 && !changes ? 0 : count - 1,
    sectors: () => sectors,
  };
}

/** Only what was synced. */
export const cutKeepsNothing: Cut = cut("nothing", false, 0);
/** All of it: the same as the death of every process. */
export const cutKeepsEverything: Cut = cut("everything", true, ALL_SECTORS);
/** Data reached the disk, names and modes did not. */
export const cutKeepsData: Cut = cut("data", false, ALL_SECTORS);
/** Names, modes and sizes reached the disk, data did not. */
export const cutKeepsNames: Cut = cut("names", true, 0);
/** Only every second sector reached the disk, so that each page and most records are torn. */
export const cutTearsEven: Cut = cut("even sectors", true, 0x55);
export const cutTearsOdd: Cut = cut("odd sectors", false, 0xaa);
/** Pages torn in the middle. */
export const cutTearsHead: Cut = cut("first halves", true, 0x0f);

/** Of all names and modes only the youngest change reached the disk, and all data. */
export const cutKeepsLastChange: Cut = {
  ...cutKeepsEverything,
  name: "the last change",
  keepsChange: (index, count) => index === count - 1,
};
/** The youngest change of a name or mode is missing. */
export const cutLosesLastChange: Cut = {
  ...cutKeepsEverything,
  name: "all but the last change",
  keepsChange: (index, count) => index < count - 1,
};

/** The cuts that an enumeration tries at every point. */
export const enumeratedCuts: readonly Cut[] = [
  cutKeepsNothing,
  cutKeepsEverything,
  cutKeepsData,
  cutKeepsNames,
  cutTearsEven,
  cutTearsOdd,
  cutTearsHead,
  cutKeepsLastChange,
  cutLosesLastChange,
];

/** For long workloads in the normal run. */
export const someCuts: readonly Cut[] = [cutKeepsNothing, cutKeepsData, cutTearsEven];

/** Any subset of everything, from "almost nothing" to "almost everything". */
export function randomCut(random: Random): Cut {
  const pages = random.pick([0.05, 0.5, 0.95]);
  const torn = random.pick([0, 0.3, 1]);
  const changes = random.pick([0.1, 0.5, 0.9]);
  return {
    name: `random (pages ${pages}, torn ${torn}, changes ${changes})`,
    keepsChange: () => random.chance(changes),
    sizeIndex: (count) => random.below(count),
    sectors: () => random.chance(torn) ? random.below(256) : random.chance(pages) ? ALL_SECTORS : 0,
  };
}

/** Like a journal: every change of a name or mode up to some point, none after it. */
export function journalCut(random: Random): Cut {
  const kept = random.fraction();
  const base = randomCut(random);
  return {
    ...base,
    name: `journal, ${base.name}`,
    keepsChange: (index, count) => index < kept * (count + 1),
  };
}
