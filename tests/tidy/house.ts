/** The rooms and what each may import, read from the table in README.md. */

export interface Room {
  /** From the project root: `src/aof`, `ffi`, or the file `main.ts`. */
  readonly path: string;
  readonly rank: number;
  /** Paths of the rooms that it may import. */
  readonly mayImport: ReadonlySet<string>;
}

export type House = ReadonlyMap<string, Room>;

const HEADING = "## Map of rooms";

/**
 * Reads `| rank | room | may import | what it owns |` below the heading. Rooms are named in
 * backticks, with or without `src/`; a row may hold several rooms. "All below" stands for every room of a
 * lower rank. Throws an Error where the table is missing or contradicts the ranks.
 */
export function readHouse(markdown: string): House {
  const rows = tableBelow(markdown, HEADING);
  const named = rows.map(([rank, rooms, mayImport]) => ({
    rank: Number(rank),
    rooms: roomsIn(rooms ?? ""),
    all: /\ball below\b/i.test(mayImport ?? ""),
    mayImport: roomsIn(mayImport ?? ""),
  }));
  const ranks = new Map(named.flatMap(({ rank, rooms }) => rooms.map((room) => [room, rank])));
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
      house.set(path, { path, rank, mayImport: new Set(all ? below : mayImport) });
    }
  }
  if (house.size === 0) throw new Error(`README.md has no table of rooms below "${HEADING}"`);
  return house;
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

function roomsIn(cell: string): string[] {
  return [...cell.matchAll(/`([^`]+)`/g)].map(([, name]) => {
    const path = (name as string).replace(/\/$/, "");
    return path === "ffi" || path.endsWith(".ts") || path.startsWith("src/") ? path : `src/${path}`;
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
  return rows.slice(2); // the head and the line below it
}
