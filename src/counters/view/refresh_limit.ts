/** How long a part of a view's work may take at once. */
export interface RefreshLimit {
  /** Asked after each millisecond or so of work. */
  readonly isUsedUp: boolean;
}
