import type { Scope } from "../core/scope.ts";
import type { Signal } from "../core/signal.ts";
import { h, setText } from "./dom.ts";
import { type EventFilter, FAMILIES, type Family, familyOf } from "./event_filter.ts";

interface TypeBox {
  input: HTMLInputElement;
  count: HTMLElement;
}

/** Checkboxes for every event type seen, grouped by family; a family's box switches all of its types. */
export class TypeMenu {
  readonly element: HTMLDetailsElement;
  #scope: Scope;
  #filter: Signal<EventFilter>;
  #summary = h("summary", { class: "rnb-button" });
  #boxes = new Map<string, TypeBox>();
  #families = new Map<Family, { group: HTMLElement; input: HTMLInputElement }>();
  #body = h("div", { class: "rnb-types" });

  constructor(scope: Scope, filter: Signal<EventFilter>) {
    this.#scope = scope;
    this.#filter = filter;
    this.element = h("details", { class: "rnb-menu" }, this.#summary, this.#body);
    scope.listen<KeyboardEvent>(this.element, "keydown", (event) => {
      if (event.key !== "Escape" || !this.element.open) return;
      this.element.open = false;
      this.#summary.focus();
    });
    scope.listen<MouseEvent>(document, "pointerdown", (event) => {
      if (this.element.open && !event.composedPath().includes(this.element)) this.element.open = false;
    });
    filter.watch(scope, () => this.#reflect());
  }

  /** Counts per type; new types get a box. */
  update(counts: ReadonlyMap<string, number>): void {
    let added = false;
    for (const [type, count] of [...counts].sort(([a], [b]) => a.localeCompare(b))) {
      let box = this.#boxes.get(type);
      if (!box) {
        box = this.#addType(type);
        added = true;
      }
      setText(box.count, String(count));
    }
    if (added) this.#reflect();
  }

  #addType(type: string): TypeBox {
    const input = h("input", { type: "checkbox" });
    const count = h("span", { class: "rnb-count" });
    const label = h("label", { class: "rnb-type" }, input, h("span", {}, type), count);
    const box = { input, count };
    this.#boxes.set(type, box);
    this.#family(familyOf(type)).group.append(label);
    this.#scope.listen(input, "change", () => this.#show([type], input.checked));
    return box;
  }

  #family(family: Family): { group: HTMLElement; input: HTMLInputElement } {
    let entry = this.#families.get(family);
    if (entry) return entry;
    const input = h("input", { type: "checkbox" });
    const group = h("fieldset", { class: "rnb-family" }, h("label", { class: "rnb-type rnb-type-family" }, input, h("span", {}, family)));
    entry = { group, input };
    this.#families.set(family, entry);
    this.#scope.listen(input, "change", () => this.#show(this.#typesOf(family), input.checked));
    const ordered = FAMILIES.flatMap((name) => this.#families.get(name)?.group ?? []);
    this.#body.replaceChildren(...ordered);
    return entry;
  }

  #typesOf(family: Family): string[] {
    return [...this.#boxes.keys()].filter((type) => familyOf(type) === family);
  }

  #show(types: string[], shown: boolean): void {
    const hidden = new Set(this.#filter.value.hidden);
    for (const type of types) {
      if (shown) hidden.delete(type);
      else hidden.add(type);
    }
    this.#filter.set({ ...this.#filter.value, hidden });
  }

  #reflect(): void {
    const { hidden } = this.#filter.value;
    for (const [type, { input }] of this.#boxes) input.checked = !hidden.has(type);
    for (const [family, { input }] of this.#families) {
      const types = this.#typesOf(family);
      const shown = types.filter((type) => !hidden.has(type)).length;
      input.checked = shown === types.length;
      input.indeterminate = shown > 0 && shown < types.length;
    }
    setText(this.#summary, hidden.size > 0 ? `Types · ${hidden.size} hidden` : "Types");
  }
}
