/**
 * The wings and rooms, and what each may import: the table of src/README.md has a row for each wing, the
 * table of src/counters/README.md one for each room of that wing.
 */

export interface Room {
  /** From the project root: `src/aof`, `src/counters/tree`, `ffi`, or the file `main.ts`. */
  readonly path: string;
  readonly rank: number;
  /** Paths of the rooms and wings that it may import. */
  readonly mayImport: ReadonlySet<string>;
  /** Path of the wing that the room is a part of; undefined for a wing. */
  readonly wing?: string;
}

export type House = ReadonlyMap<string, Room>;

export const WINGS_HEADING = "## Map of wings";
export const ROOMS_HEADING = "## Map of rooms";

/**
 * Reads `| rank | room | may import | what it owns |` below a heading. Rooms are named in backticks,
 * without `base`, the folder that they lie in; a row may hold several rooms. "All below" names every
 * room of a lower rank. Throws an Error if the table is missing or contradicts the ranks.
 */
export function readHouse(
  markdown: string,
  { heading = WINGS_HEADING, base = "src/", wing }: {
    readonly heading?: string;
    readonly base?: string;
    /** The wing that the rooms are parts of. The rooms may import what its row allows. */
    readonly wing?: Room;
  } = {},
): House {
  const rows = tableBelow(markdown, heading);
  const named = rows.map(([rank, rooms, mayImport]) => ({
    rank: Number(rank),
    rooms: roomsIn(rooms ?? "", base),
    all: /\ball below\b/i.test(mayImport ?? ""),
    mayImport: roomsIn(mayImport ?? "", base),
  }));
  const ranks = new Map([
    ...[...wing?.mayImport ?? []].map((outside) => [outside, -1] as const),
    ...named.flatMap(({ rank, rooms }) => rooms.map((room) => [room, rank] as const)),
  ]);
  const house = new Map<string, Room>();
  for (const { rank, rooms, all, mayImport } of named) {
    const below = [...ranks].filter(([, other]) => other < rank).map(([room]) => room);
    for (const other of mayImport) {
      const otherRank = ranks.get(other);
      if (otherRank === undefined) throw new Error(`The map names no room ${other}`);
      if (otherRank >= rank) throw new Error(`The map lets ${rooms} import ${other}, not below it`);
    }
    for (const path of rooms) {
      if (house.has(path)) throw new Error(`The map names ${path} twice`);
      const allowed = new Set(all ? below : mayImport);
      const part = wing === undefined ? {} : { wing: wing.path };
      house.set(path, { path, rank, mayImport: allowed, ...part });
    }
  }
  if (house.size === 0) throw new Error(`The map has no table of rooms below "${heading}"`);
  return house;
}

/** The wings, and the rooms inside `counters`. */
export function readWings(wings: string, counters: string): House {
  const house = readHouse(wings);
  const wing = house.get("src/counters");
  if (wing === undefined) throw new Error("The map names no wing src/counters");
  return new Map([
    ...house,
    ...readHouse(counters, { heading: ROOMS_HEADING, base: `${wing.path}/`, wing }),
  ]);
}

/** The room that a file belongs to, by the longest path; undefined outside the house. */
export function roomOf(house: House, path: string): Room | undefined {
  const parts = path.split("/");
  for (let length = parts.length; length > 0; length--) {
    const room = house.get(parts.slice(0, length).join("/"));
    if (room !== undefined) return room;
  }
  return undefined;
}

/**
 * The path of the row that must name the import of `other` by `room`: the room itself inside one wing, the
 * wing otherwise. Undefined if both are the same room.
 */
export function importedPath(room: Room, other: Room): string | undefined {
  if (room === other) return undefined;
  return other.wing !== undefined && other.wing !== room.wing ? other.wing : other.path;
}

/** True if the map lets `room` import `other`. */
export function allows(room: Room, other: Room): boolean {
  const path = importedPath(room, other);
  return path === undefined || room.mayImport.has(path);
}

function roomsIn(cell: string, base: string): string[] {
  return [...cell.matchAll(/`([^`]+)`/g)].map(([, name]) => {
    const path = (name as string).replace(/\/$/, "");
    return path === "ffi" || path === "main.ts" || path.startsWith("src/") ? path : base + path;
  });
}

/** The cells of the first table below a heading, without its head. */
export function tableBelow(markdown: string, heading: string): string[][] {
  const lines = markdown.split("\n");
  const start = lines.indexOf(heading);
  if (start < 0) return [];
  const rows: string[][] = [];
  for (const line of lines.slice(start + 1)) {
    if (line.startsWith("|")) {
      rows.push(line.slice(1).replace(/\|\s*$/, "").split("|").map((cell) => cell.trim()));
    } else if (rows.length > 0 || line.startsWith("#")) break;
  }
  return rows.slice(2); // without the head and the line below it
}
