/** Life of an open append-only file; the numbers are those of the original library. */
export enum FileState {
  Opening = 0,
  /** Can be appended to, or is followed while somebody else appends. */
  Opened = 1,
  /** Finished, or opened to be read as it is: nothing will be appended. */
  Eof = 2,
  Closing = 3,
  Closed = 4,
}
