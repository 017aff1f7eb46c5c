import type { RaceRow } from "../core/rows.gen.ts";
import type { Scope } from "../core/scope.ts";
import { Signal } from "../core/signal.ts";
import { button, h, setLabel, setText } from "./dom.ts";
import { type LaneActions, RaceLane, raceNews } from "./race_lane.ts";
import { raceTable } from "./race_table.ts";
import { Axis, place, StageLegend } from "./stage_bar.ts";
import { scaleOf } from "./waterfall.ts";

export interface RaceSource extends LaneActions {
  race: Signal<RaceRow | null>;
  /** When the last state came, on the page's clock. */
  receivedMs(): number;
  usable: Signal<boolean>;
  hearsQuestion: Signal<boolean>;
  start(races: number): void;
  stop(): void;
}

const SCALES_MS = [1500, 2500, 4000, 6000, 10_000, 15_000, 30_000, 60_000];
const AXIS = "Time since the true end of the speech. The figure of a lane is voice to voice: when the first sound of its answer could be heard.";
const REPLAY_LEAD_MS = 400;
const REPEATS = [1, 3, 5, 10];

/** Four lanes that start together, and the medians below. */
export function race(scope: Scope, source: RaceSource): HTMLElement {
  const title = h("h2", { class: "rnb-panel-title" });
  const status = h("p", { class: "rnb-race-status" });
  const news = h("p", { class: "rnb-sr", role: "status", "aria-live": "polite" });
  const asked = h("i", { class: "rnb-asked" });
  const question = h("div", { class: "rnb-question" }, h("span", { class: "rnb-count" }, "Question"), h("div", { class: "rnb-track", "aria-hidden": "true" }, asked));
  const list = h("ol", { class: "rnb-race-lanes", "aria-label": "Lanes" });
  const axis = new Axis();
  const legend = new StageLegend();
  const fairness = h("p", { class: "rnb-fairness" });
  const tables = h("div", { class: "rnb-race-tables" });
  const replaying = new Signal<number | null>(null);
  let lanes: RaceLane[] = [];
  let parts = scope.child();
  let former: RaceRow | null = null;

  const clockMs = (row: RaceRow): number | null => {
    if (replaying.value !== null) return performance.now() - replaying.value;
    return row.state === "racing" ? row.now_ms + performance.now() - source.receivedMs() : null;
  };
  const draw = (): void => {
    const row = source.race.value;
    if (!row) return;
    const raceMs = clockMs(row);
    const scaleMs = scaleFor(row, raceMs);
    const step = axis.update(scaleMs, list.clientWidth < 480 ? 4 : 8);
    list.style.setProperty("--rnb-tick", `${(step / scaleMs) * 100}%`);
    lanes.forEach((lane) => lane.draw(raceMs, scaleMs));
    const heardMs = raceMs ?? (row.state === "done" ? row.clip_ms : 0);
    place(asked, 0, heardMs, row.clip_ms);
    if (replaying.value !== null && raceMs !== null && raceMs > endOf(row)) replaying.set(null);
  };
  let ticking = false;
  const tick = (): void => {
    draw();
    const row = source.race.value;
    ticking = row !== null && clockMs(row) !== null && !scope.disposed;
    if (ticking) scope.frame(tick);
  };
  const run = (): void => void (ticking || tick());

  source.race.watch(scope, (row) => {
    if (!row) return;
    if (lanes.length !== row.lanes.length) {
      parts.dispose();
      parts = scope.child();
      lanes = row.lanes.map((_lane, index) => new RaceLane(parts, index, source));
      list.replaceChildren(...lanes.map(({ element }) => element));
    }
    row.lanes.forEach((lane, index) => lanes[index]?.update(lane, row.state === "saved"));
    setText(title, row.clip_title ? `Race: “${row.clip_title}”` : "Race");
    setText(status, statusOf(row));
    setText(fairness, row.fairness);
    legend.update(row.lanes.flatMap(({ timeline, pending }) => [...(timeline?.spans ?? []), ...(pending ? [pending] : [])]));
    if (former) {
      const told = raceNews(former.lanes, row.lanes);
      if (told) setText(news, told);
    }
    if (JSON.stringify(former?.tables) !== JSON.stringify(row.tables)) tables.replaceChildren(...row.tables.map(raceTable));
    question.hidden = row.state === "saved";
    if (row.state === "warming" || row.state === "racing") replaying.set(null);
    former = row;
    run();
  });
  replaying.subscribe(scope, run);
  return h(
    "section",
    { class: "rnb-race-body", "aria-label": "Race of architectures" },
    h("div", { class: "rnb-panel-title-row" }, title, status),
    raceControls(scope, source, replaying),
    news,
    question,
    list,
    axis.element,
    h("p", { class: "rnb-count" }, AXIS),
    legend.element,
    fairness,
    tables,
  );
}

function raceControls(scope: Scope, source: RaceSource, replaying: Signal<number | null>): HTMLElement {
  const start = button("Start", { icon: "play", kind: "primary" });
  const stop = button("Stop", { icon: "stop" });
  const again = button("Show again", { icon: "play", title: "Let the lanes run once more as they did, without sound" });
  const repeats = h("select", { class: "rnb-select", "aria-label": "How many races" }, ...REPEATS.map((n) => h("option", { value: n }, n === 1 ? "one race" : `${n} races`)));
  const hear = h("input", { type: "checkbox" });
  hear.checked = source.hearsQuestion.value;
  const hearLabel = h("label", { class: "rnb-check" }, hear, "hear the question");
  scope.listen(start, "click", () => source.start(Number(repeats.value)));
  scope.listen(stop, "click", () => source.stop());
  scope.listen(hear, "change", () => source.hearsQuestion.set(hear.checked));
  scope.listen(again, "click", () => {
    const row = source.race.value;
    if (row) replaying.set(performance.now() - Math.max(0, firstZero(row) - REPLAY_LEAD_MS));
  });
  const update = (): void => {
    const row = source.race.value;
    const state = row?.state ?? "idle";
    const busy = state === "warming" || state === "racing";
    for (const element of [start, stop, repeats, hearLabel]) element.hidden = state === "saved";
    start.disabled = repeats.disabled = !source.usable.value || busy;
    stop.disabled = !source.usable.value || !busy;
    again.disabled = busy || replaying.value !== null || !row?.lanes.some(({ timeline }) => timeline);
    setLabel(start, state === "idle" ? "Start" : "Race again");
  };
  source.race.watch(scope, update);
  source.usable.subscribe(scope, update);
  replaying.subscribe(scope, update);
  return h("div", { class: "rnb-row" }, start, stop, repeats, again, hearLabel);
}

function firstZero(row: RaceRow): number {
  return Math.min(...row.lanes.map(({ zero_ms }) => zero_ms ?? Infinity).filter(Number.isFinite), row.clip_ms);
}

function endOf(row: RaceRow): number {
  return Math.max(0, ...row.lanes.map((lane) => (lane.zero_ms ?? 0) + (lane.timeline ? scaleOf(lane.timeline) : 0)));
}

/** The axis grows in steps, so that bars do not shrink all the time. */
function scaleFor(row: RaceRow, raceMs: number | null): number {
  const known = row.lanes.map(({ timeline }) => (timeline ? scaleOf(timeline) : 0));
  const racing = row.lanes.filter(({ pending, zero_ms }) => pending && zero_ms !== null).map(({ zero_ms }) => (raceMs ?? 0) - (zero_ms ?? 0));
  const longest = Math.max(0, ...known, ...racing);
  return SCALES_MS.find((scaleMs) => scaleMs >= longest) ?? longest;
}

function statusOf({ state, race: number, races, lanes }: RaceRow): string {
  const count = races > 1 ? ` ${number} of ${races}` : "";
  if (state === "idle") return `${lanes.length} lanes, ready`;
  if (state === "warming") return "warming up";
  if (state === "racing") return `race${count}`;
  if (state === "stopped") return "stopped";
  return state === "saved" ? "from saved runs" : `race${count} done`;
}
