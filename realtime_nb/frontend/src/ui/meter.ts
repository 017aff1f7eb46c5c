import { h } from "./dom.ts";

const FLOOR_DB = -60;

/** Peak level of a frame in dBFS, floored at −60. */
export function levelDb(samples: Int16Array): number {
  let peak = 0;
  for (const sample of samples) peak = Math.max(peak, Math.abs(sample));
  return peak === 0 ? FLOOR_DB : Math.max(FLOOR_DB, 20 * Math.log10(peak / 32768));
}

/** An input level bar that rises at once and falls slowly. */
export class Meter {
  readonly element: HTMLElement;
  #bar = h("i", {});
  #shownDb = FLOOR_DB;

  constructor(label: string) {
    this.element = h("div", { class: "rnb-meter", role: "meter", "aria-label": label, "aria-valuemin": FLOOR_DB, "aria-valuemax": 0 }, this.#bar);
    this.show(FLOOR_DB);
  }

  show(db: number): void {
    this.#shownDb = Math.max(db, this.#shownDb - 1.5, FLOOR_DB);
    if (db <= FLOOR_DB) this.#shownDb = Math.max(FLOOR_DB, db);
    this.#bar.style.transform = `scaleX(${1 - this.#shownDb / FLOOR_DB})`;
    this.element.dataset["hot"] = String(this.#shownDb > -3);
    this.element.setAttribute("aria-valuenow", this.#shownDb.toFixed(0));
  }
}
