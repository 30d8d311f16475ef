/** The ports that are attacked, and what both sides have to know of them. A new port is one entry of a list. */

export type Protocol = "write" | "read" | "http";

export interface Port {
  readonly name: string;
  readonly port: number;
  readonly protocol: Protocol;
  /** HTTP: what the good client asks for. */
  readonly path?: string;
  /** HTTP: where forms are posted; not given if the port takes none. */
  readonly formPath?: string;
  /** HTTP: a long answer. */
  readonly longPath?: string;
}

export const hostname = "127.0.0.1";

/** The keyspace that the good client uses, and one with many long rows. */
export const GOOD = "good";
export const LONG = "long";
export const LONG_ROWS = 20_000;
