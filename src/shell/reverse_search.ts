/**
 * Ctrl-R: the newest line of the history that holds what is typed, and older ones at each further
 * Ctrl-R. Pure state; who draws it stands in `line_editor.ts`.
 */

export class ReverseSearch {
  readonly #lines: readonly string[];
  #query = "";
  /** Index of the line that is shown; the number of lines where none is yet. */
  #index: number;
  #isFailing = false;

  /** `lines` are the oldest first. */
  constructor(lines: readonly string[]) {
    this.#lines = lines;
    this.#index = lines.length;
  }

  /** The line that fits, or null before anything fitted. */
  get match(): string | null {
    return this.#lines[this.#index] ?? null;
  }

  /** What stands in the place of the prompt. */
  get prompt(): string {
    return `(${this.#isFailing ? "failed " : ""}reverse-i-search)'${this.#query}': `;
  }

  type(text: string): void {
    this.#query += text;
    // The line that is shown may still fit.
    this.#find(Math.min(this.#index, this.#lines.length - 1));
  }

  erase(): void {
    this.#query = [...this.#query].slice(0, -1).join("");
    this.#index = this.#lines.length;
    this.#isFailing = false;
    if (this.#query !== "") this.#find(this.#lines.length - 1);
  }

  older(): void {
    // The same text once more would look like a key that does nothing.
    if (this.#query !== "") this.#find(this.#index - 1, { but: this.match });
  }

  /** The newest line from `index` back that fits; what is shown stays where none does. */
  #find(index: number, { but = null }: { readonly but?: string | null } = {}): void {
    for (let at = index; at >= 0; at--) {
      const line = this.#lines[at] as string;
      if (!line.includes(this.#query) || line === but) continue;
      this.#index = at;
      this.#isFailing = false;
      return;
    }
    this.#isFailing = true;
  }
}
