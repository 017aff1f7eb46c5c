import type { Scope } from "../core/scope.ts";
import { button, h, setText } from "./dom.ts";
import { formatTime, prettyJson } from "./event_filter.ts";
import type { InspectedEvent, InspectorSource } from "./inspector.ts";

const EARLIER = "from an earlier session: audio left out";

/** The opened event: its elided payload at once, the full JSON when the kernel answers. */
export class EventDetail {
  readonly element: HTMLElement;
  #source: InspectorSource;
  #title = h("span", { class: "rnb-detail-title" });
  #note = h("span", { class: "rnb-detail-note", role: "status" });
  #json = h("pre", { class: "rnb-json", tabindex: 0, role: "group", "aria-label": "Event as JSON" });
  #play = button("Play audio", { icon: "play" });
  #event: InspectedEvent | null = null;

  /** `onClose`: the focus was here and needs a place to go. */
  constructor(scope: Scope, source: InspectorSource, onClose: () => void) {
    this.#source = source;
    const close = button("Close", { icon: "close", iconOnly: true, kind: "quiet" });
    const leave = (): void => {
      this.#event = null;
      this.element.hidden = true;
      onClose();
    };
    scope.listen(close, "click", leave);
    scope.listen(this.#play, "click", () => void this.#playAudio());
    const head = h("div", { class: "rnb-detail-head" }, this.#title, this.#note, this.#play, close);
    this.element = h("div", { class: "rnb-detail", hidden: true }, head, this.#json);
    scope.listen<KeyboardEvent>(this.element, "keydown", (event) => {
      if (event.key === "Escape") leave();
    });
  }

  open(event: InspectedEvent): void {
    this.#event = event;
    this.element.hidden = false;
    setText(this.#title, `#${event.sequence} ${event.event_type} · ${formatTime(event.time_ms)}`);
    this.#play.hidden = event.audio_ms === null;
    setText(this.#json, prettyJson(event.payload));
    this.#json.scrollTop = 0;
    void this.#fetch(event);
  }

  /** Play events one after the other; the first is opened to say what went wrong. */
  async play(events: readonly InspectedEvent[]): Promise<void> {
    const [first] = events;
    if (!first) return;
    const problem = await this.#problem(events);
    if (!problem) return;
    this.open(first);
    setText(this.#note, problem);
  }

  #problem(events: readonly InspectedEvent[]): Promise<string> {
    const isOld = events.some(({ epoch }) => epoch !== this.#source.events.epoch);
    return isOld ? Promise.resolve(EARLIER) : this.#source.playAudio(events);
  }

  async #fetch(event: InspectedEvent): Promise<void> {
    if (event.epoch !== this.#source.events.epoch) {
      setText(this.#note, EARLIER);
      return;
    }
    setText(this.#note, event.audio_ms === null ? "" : "audio shortened, asking for all…");
    const result = await this.#source.run("get_event", { sequence: event.sequence });
    if (this.#event !== event) return;
    const full = result.result["json"];
    if (result.ok && typeof full === "string") {
      setText(this.#json, prettyJson(full));
      setText(this.#note, "");
    } else {
      setText(this.#note, result.error ? `shortened: ${result.error}` : "shortened");
    }
  }

  async #playAudio(): Promise<void> {
    const event = this.#event;
    if (!event) return;
    setText(this.#note, "loading…");
    const problem = await this.#problem([event]);
    if (this.#event === event) setText(this.#note, problem);
  }
}
