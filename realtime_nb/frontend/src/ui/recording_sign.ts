import type { RecordingRow } from "../core/messages.gen.ts";
import { h, setText } from "./dom.ts";

/** That the session is written to disk, and where to; hidden while it never was. */
export class RecordingSign {
  readonly element: HTMLElement;
  #words = h("span", {});
  #where = h("span", { class: "rnb-sr" });

  constructor() {
    this.element = h("span", { class: "rnb-chip rnb-recording", role: "status", hidden: true }, this.#words, this.#where);
  }

  /** `stale`: the kernel does not answer, so that it may no longer be so. */
  show(recording: RecordingRow | null, stale: boolean): void {
    this.element.hidden = recording === null;
    if (!recording) return;
    const { state, folder, problem } = recording;
    const unsure = stale && state === "writing";
    const words = { writing: "Recording", ended: "Recorded", failed: `Recording stopped: ${problem}` }[state];
    this.element.dataset["recording"] = unsure ? "unknown" : state;
    setText(this.#words, unsure ? "Last known: recording" : words);
    setText(this.#where, state === "failed" ? `. What was written is in the folder ${folder}` : ` to the folder ${folder}`);
    this.element.title = this.element.textContent;
  }
}
