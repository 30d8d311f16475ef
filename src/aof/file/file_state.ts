/** Life of an open append-only file. The numbers are those of kirana's `aof`. */
export enum FileState {
  /** Being opened: nothing may be done yet. */
  Opening = 0,
  /** Can be appended to, or is followed while another process appends. */
  Opened = 1,
  /** Finished, or opened to be read as it is: nothing will be appended. */
  Eof = 2,
  /** Closing: waits for consumers that are at work and for syncs in flight. */
  Closing = 3,
  /** Closed: the mapping and the descriptor are released. */
  Closed = 4,
}
