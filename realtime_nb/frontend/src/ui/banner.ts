import type { Scope } from "../core/scope.ts";
import { button, h, setLabel, setText } from "./dom.ts";

/** One line across the widget for a state that lasts, with at most one thing to do about it. */
export class Banner {
  readonly element: HTMLElement;
  #text = h("p", {});
  #action = button("", { kind: "primary" });
  #run: () => void = () => {};

  constructor(scope: Scope, level: "info" | "warning" | "error") {
    this.element = h("div", { class: "rnb-banner", "data-level": level, role: "status", hidden: true }, this.#text, this.#action);
    scope.listen(this.#action, "click", () => this.#run());
  }

  show(text: string, action?: { label: string; run: () => void }): void {
    setText(this.#text, text);
    this.#action.hidden = !action;
    if (action) {
      setLabel(this.#action, action.label);
      this.#run = action.run;
    }
    this.element.hidden = false;
  }

  hide(): void {
    this.element.hidden = true;
  }
}
