import type { Scope } from "../core/scope.ts";
import { h } from "./dom.ts";

const OVERSCAN = 6;
const FRAMES_WATCHED = 60;

export interface ListRow {
  key: string;
  /** A row of the same key is built again when this differs. */
  version?: string;
}

/** A list of rows of one height that builds only those in sight; arrow keys go from row to row, Enter or a click presses one. */
export class VirtualList<T extends ListRow> {
  readonly element: HTMLElement;
  #rows: readonly T[] = [];
  #space = h("div", { class: "rnb-list-space" });
  #scope: Scope;
  #build: (row: T) => HTMLElement;
  #opened: (row: T, pressed: boolean) => void;
  #built = new Map<string, HTMLElement>();
  #chosen = "";
  #follow = true;
  #pending = false;
  #watched = 0;
  #drawnAt = "";
  #id = `rnb-list-${Math.random().toString(36).slice(2)}`;

  constructor(scope: Scope, label: string, build: (row: T) => HTMLElement, opened: (row: T, pressed: boolean) => void) {
    this.#scope = scope;
    this.#build = build;
    this.#opened = opened;
    this.element = h("div", { class: "rnb-list", role: "listbox", tabindex: 0, "aria-label": label }, this.#space);
    scope.listen(this.element, "scroll", () => {
      if (this.element.clientHeight === 0) return;
      this.#follow = this.#distanceToEnd() < this.rowHeight;
      this.#request();
    });
    scope.resize(this.element, ({ contentRect }) => {
      if (contentRect.height === 0) return;
      this.#built.clear();
      this.#request();
      if (this.#watched === 0) this.#watch();
      this.#watched = FRAMES_WATCHED;
    });
    scope.listen<MouseEvent>(this.element, "click", (event) => this.#onClick(event));
    scope.listen<KeyboardEvent>(this.element, "keydown", (event) => this.#onKey(event));
  }

  get rowHeight(): number {
    return Number.parseFloat(getComputedStyle(this.element).getPropertyValue("--rnb-row-height")) || 24;
  }

  /** Show these rows; stays at the end when it was there. */
  show(rows: readonly T[], reset = false): void {
    this.#rows = rows;
    if (reset) this.#built.clear();
    this.#request();
  }

  /** The row that an element inside the list belongs to. */
  rowOf(element: Element): T | null {
    const key = element.closest<HTMLElement>("[data-key]")?.dataset["key"];
    return this.#rows.find((row) => row.key === key) ?? null;
  }

  #distanceToEnd(): number {
    return this.element.scrollHeight - this.element.scrollTop - this.element.clientHeight;
  }

  #request(): void {
    if (this.#pending || this.#scope.disposed) return;
    this.#pending = true;
    this.#scope.frame(() => {
      this.#pending = false;
      this.#layout();
    });
  }

  /** A list that was hidden (a theme is being switched) gets its scroll position back some frames after its size, silently. */
  #watch(): void {
    this.#scope.frame(() => {
      if (this.#place() !== this.#drawnAt) this.#request();
      this.#watched -= 1;
      if (this.#watched > 0) this.#watch();
    });
  }

  #place(): string {
    return `${this.element.scrollTop}/${this.element.clientHeight}`;
  }

  #layout(): void {
    const height = this.rowHeight;
    this.#space.style.height = `${this.#rows.length * height}px`;
    if (this.#follow) this.element.scrollTop = this.element.scrollHeight;
    this.#drawnAt = this.#place();
    const first = Math.max(0, Math.floor(this.element.scrollTop / height) - OVERSCAN);
    const count = Math.ceil((this.element.clientHeight || 240) / height) + 2 * OVERSCAN;
    const visible = this.#rows.slice(first, first + count);
    const next = new Map<string, HTMLElement>();
    visible.forEach((row, index) => {
      const known = this.#built.get(row.key);
      const element = known?.dataset["version"] === (row.version ?? "") ? known : this.#create(row);
      element.style.transform = `translateY(${(first + index) * height}px)`;
      element.setAttribute("aria-selected", String(row.key === this.#chosen));
      element.setAttribute("aria-setsize", String(this.#rows.length));
      element.setAttribute("aria-posinset", String(first + index + 1));
      next.set(row.key, element);
    });
    for (const [key, element] of this.#built) if (!next.has(key)) element.remove();
    for (const child of [...this.#space.children]) {
      if (next.get((child as HTMLElement).dataset["key"] ?? "") !== child) child.remove();
    }
    for (const element of next.values()) if (element.parentElement !== this.#space) this.#space.append(element);
    this.#built = next;
    const chosen = next.get(this.#chosen);
    if (chosen) this.element.setAttribute("aria-activedescendant", chosen.id);
    else this.element.removeAttribute("aria-activedescendant");
  }

  #create(row: T): HTMLElement {
    const element = this.#build(row);
    element.dataset["key"] = row.key;
    element.dataset["version"] = row.version ?? "";
    element.id = `${this.#id}-${row.key}`;
    element.setAttribute("role", "option");
    return element;
  }

  #onClick(event: MouseEvent): void {
    const target = event.target as HTMLElement;
    const row = target.closest("button") ? null : this.rowOf(target);
    if (row) this.#choose(row, true);
  }

  #onKey(event: KeyboardEvent): void {
    const page = Math.max(1, Math.floor(this.element.clientHeight / this.rowHeight) - 1);
    const steps: Record<string, number> = {
      ArrowDown: 1,
      ArrowUp: -1,
      PageDown: page,
      PageUp: -page,
      Home: -Infinity,
      End: Infinity,
    };
    const step = steps[event.key];
    const current = this.#rows.findIndex((row) => row.key === this.#chosen);
    const chosen = this.#rows[current];
    if (step === undefined) {
      if (event.key === "Enter" && chosen) this.#choose(chosen, true);
      return;
    }
    event.preventDefault();
    event.stopPropagation();
    const from = current < 0 ? this.#rows.length : current;
    const index = Math.max(0, Math.min(this.#rows.length - 1, from + step));
    const row = this.#rows[index];
    if (!row) return;
    const top = index * this.rowHeight;
    if (top < this.element.scrollTop) this.element.scrollTop = top;
    const bottom = top + this.rowHeight - this.element.clientHeight;
    if (bottom > this.element.scrollTop) this.element.scrollTop = bottom;
    this.#choose(row, false);
  }

  #choose(row: T, pressed: boolean): void {
    this.#chosen = row.key;
    this.#follow = false;
    this.#request();
    this.#opened(row, pressed);
  }
}
