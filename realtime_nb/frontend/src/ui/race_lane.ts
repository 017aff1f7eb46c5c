import type { LaneRow } from "../core/rows.gen.ts";
import type { Scope } from "../core/scope.ts";
import type { Signal } from "../core/signal.ts";
import { button, h, setText } from "./dom.ts";
import { formatMs, StageBar } from "./stage_bar.ts";

export interface LaneActions {
  audible: Signal<ReadonlySet<number>>;
  recorded: Signal<ReadonlySet<number>>;
  mute(lane: number, muted: boolean): void;
  solo(lane: number): void;
  replay(lane: number): void;
}

const PHASES: Record<LaneRow["phase"], string> = {
  idle: "ready",
  warming: "warming up",
  asking: "hears the question",
  thinking: "at work",
  answering: "answers",
  done: "done",
  failed: "failed",
  stopped: "stopped",
};

/** One architecture: how far it is, how long it took, what it said, and its sound. */
export class RaceLane {
  readonly element: HTMLElement;
  #row: LaneRow | null = null;
  #bar = new StageBar();
  #place = h("span", { class: "rnb-place", "aria-hidden": "true" });
  #title = h("strong", { class: "rnb-lane-title" });
  #made = h("span", { class: "rnb-lane-made" });
  #time = h("span", { class: "rnb-lane-time" });
  #words = h("p", { class: "rnb-lane-words" });
  #stages = h("p", { class: "rnb-sr" });
  #buttons: HTMLElement;

  constructor(scope: Scope, lane: number, actions: LaneActions) {
    const mute = button("Mute", { icon: "speaker", iconOnly: true, kind: "quiet" });
    mute.classList.add("rnb-mute");
    const solo = button("Solo", { kind: "quiet", title: "Hear only this lane" });
    const replay = button("Play the answer", { icon: "play", iconOnly: true, kind: "quiet" });
    scope.listen(mute, "click", () => actions.mute(lane, actions.audible.value.has(lane)));
    scope.listen(solo, "click", () => actions.solo(lane));
    scope.listen(replay, "click", () => actions.replay(lane));
    actions.audible.watch(scope, (audible) => {
      const heard = audible.has(lane);
      mute.setAttribute("aria-pressed", String(!heard));
      mute.title = heard ? "Mute this lane" : "Muted. Hear this lane, too";
      solo.setAttribute("aria-pressed", String(heard && [...audible].every((each) => each === lane || each < 0)));
    });
    actions.recorded.watch(scope, (recorded) => {
      replay.disabled = !recorded.has(lane);
    });
    this.#buttons = h("span", { class: "rnb-lane-buttons", role: "group" }, mute, solo, replay);
    this.element = h(
      "li",
      { class: "rnb-race-lane" },
      h("div", { class: "rnb-lane-head" }, this.#place, this.#title, this.#made, this.#time, this.#buttons),
      this.#bar.element,
      this.#stages,
      this.#words,
    );
  }

  /** Take what the kernel says; `silent` when there is no sound to handle. */
  update(row: LaneRow, silent: boolean): void {
    this.#row = row;
    this.element.dataset["phase"] = row.phase;
    this.element.dataset["place"] = String(row.place);
    this.#buttons.hidden = silent;
    this.#buttons.setAttribute("aria-label", `Sound of ${row.title}`);
    setText(this.#place, row.place > 0 ? String(row.place) : "·");
    setText(this.#title, row.title);
    setText(this.#made, [row.made_by, ...row.simulated].filter(Boolean).join(" · "));
    setText(this.#stages, (row.timeline?.spans ?? []).map(({ label, start_ms, end_ms, error_ms }) => `${label} ${formatMs(end_ms - start_ms, error_ms)}`).join(", "));
    this.#showWords(row);
  }

  /** Draw the lane at a time of the race; null draws what is known. */
  draw(raceMs: number | null, scaleMs: number): void {
    const row = this.#row;
    if (!row) return;
    const zeroMs = row.zero_ms ?? Infinity;
    const nowMs = raceMs === null ? null : raceMs - zeroMs;
    const pending = row.pending && { ...row.pending, since_ms: row.pending.since_ms - zeroMs };
    this.#bar.update({ spans: row.timeline?.spans ?? [], scaleMs, nowMs, pending });
    setText(this.#time, timeText(row, nowMs));
  }

  #showWords(row: LaneRow): void {
    if (row.error) {
      this.#words.replaceChildren(h("strong", { class: "rnb-lane-error" }, row.error));
    } else {
      const heard = row.heard && h("span", { class: "rnb-lane-heard" }, `“${row.heard}”`);
      const said = row.said && h("span", {}, row.said);
      this.#words.replaceChildren(...[heard, heard && said ? " → " : "", said].filter((part) => part !== ""));
    }
    this.#words.hidden = this.#words.childNodes.length === 0;
  }
}

function timeText(row: LaneRow, nowMs: number | null): string {
  const total = row.timeline?.voice_to_voice_ms ?? null;
  if (row.phase === "failed" || row.phase === "stopped") return PHASES[row.phase];
  if (total !== null && (nowMs === null || nowMs >= total)) return formatMs(total);
  if (row.phase === "thinking" || (nowMs !== null && nowMs > 0 && row.phase === "done")) {
    return nowMs === null || nowMs < 0 ? PHASES[row.phase] : `${Math.floor(nowMs / 10) * 10} ms`;
  }
  return row.phase === "done" ? "time not known" : PHASES[row.phase];
}

/** What changed between two states of a race, for those who listen to it. */
export function raceNews(before: LaneRow[], after: LaneRow[]): string {
  const news: string[] = [];
  after.forEach((lane, index) => {
    const former = before[index];
    if (!former || former.title !== lane.title) return;
    if (lane.place > 0 && former.place !== lane.place) news.push(`${lane.title} answers, place ${lane.place}.`);
    if (lane.phase === "failed" && former.phase !== "failed") news.push(`${lane.title} failed: ${lane.error}`);
    const total = lane.timeline?.voice_to_voice_ms;
    if (lane.phase === "done" && former.phase !== "done" && typeof total === "number") news.push(`${lane.title}: ${formatMs(total)}.`);
  });
  return news.join(" ");
}
