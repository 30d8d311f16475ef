/**
 * The search of Ctrl-R: finds the newest line of the history that contains what is typed, and an older
 * one at each further Ctrl-R. This is state only; `line_editor.ts` draws it.
 */

export class ReverseSearch {
  readonly #lines: readonly string[];
  #query = "";
  /** Index of the line that is shown; the number of lines if none is shown yet. */
  #index: number;
  #isFailing = false;

  /** `lines` are the oldest first. */
  constructor(lines: readonly string[]) {
    this.#lines = lines;
    this.#index = lines.length;
  }

  /** The line that matches, or null before the first match. */
  get match(): string | null {
    return this.#lines[this.#index] ?? null;
  }

  /** The text in place of the prompt. */
  get prompt(): string {
    return `(${this.#isFailing ? "failed " : ""}reverse-i-search)'${this.#query}': `;
  }

  type(text: string): void {
    this.#query += text;
    // The line that is shown may still match.
    this.#find(Math.min(this.#index, this.#lines.length - 1));
  }

  erase(): void {
    this.#query = [...this.#query].slice(0, -1).join("");
    this.#index = this.#lines.length;
    this.#isFailing = false;
    if (this.#query !== "") this.#find(this.#lines.length - 1);
  }

  older(): void {
    // Showing an equal line again would look as if the key had no effect.
    if (this.#query !== "") this.#find(this.#index - 1, { but: this.match });
  }

  /** Finds the newest match from `index` back; without one, the shown line stays. */
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
