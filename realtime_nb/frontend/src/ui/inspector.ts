import type { CommandResult, EventRow } from "../core/messages.gen.ts";
import type { Scope } from "../core/scope.ts";
import { type Emitter, Signal } from "../core/signal.ts";
import { button, h, icon, setText } from "./dom.ts";
import { EventDetail } from "./event_detail.ts";
import { type FoldedRow, foldRuns, type RunRow, runSummary, type SingleRow, singles } from "./event_fold.ts";
import { type EventFilter, familyOf, formatTime, matches, SHOW_ALL } from "./event_filter.ts";
import { formatDuration } from "./tool_call.ts";
import { TypeMenu } from "./type_menu.ts";
import { VirtualList } from "./virtual_list.ts";

export interface InspectedEvent extends EventRow {
  epoch: number;
}

export interface InspectorSource {
  events: { rows: InspectedEvent[]; dropped: number; epoch: number; changed: Emitter<void> };
  run(name: string, args: Record<string, unknown>): Promise<CommandResult>;
  /** Play the payloads of events of the newest session; the text says what went wrong, empty when it plays. */
  playAudio(events: readonly InspectedEvent[]): Promise<string>;
}

type Row = FoldedRow<InspectedEvent>;

/** Every wire event: runs of audio and pieces folded, filter, search, pause, open one to its full JSON. */
export function inspector(scope: Scope, source: InspectorSource): HTMLElement {
  const filter = new Signal<EventFilter>(SHOW_ALL);
  const paused = new Signal(false);
  const folding = new Signal(true);
  const unfolded = new Set<string>();
  const detail = new EventDetail(scope, source, () => list.element.focus());
  const list = new VirtualList<Row>(scope, "Wire events", (row) => ("run" in row ? runRow(row) : eventRow(row)), (row, pressed) => {
    if (!("run" in row)) detail.open(row.event);
    else if (pressed) toggleRun(row.key);
  });
  const types = new TypeMenu(scope, filter);
  const count = h("span", { class: "rnb-count" });
  const found = h("span", { class: "rnb-sr", role: "status" });
  const empty = h("p", { class: "rnb-empty" }, "Every event on the wire appears here.");
  let frozen: InspectedEvent[] | null = null;

  const refresh = (reset = false): void => {
    const all = frozen ?? source.events.rows;
    const shown = all.filter((row) => matches(row, filter.value));
    list.show(folding.value ? foldRuns(shown, unfolded) : singles(shown), reset);
    empty.hidden = shown.length > 0;
    setText(empty, all.length > 0 ? "No event matches the filter." : "Every event on the wire appears here.");
    const held = frozen ? ` · ${source.events.rows.length - frozen.length} held` : "";
    const dropped = source.events.dropped > 0 ? ` · ${source.events.dropped} older dropped` : "";
    const total = shown.length === all.length ? `${all.length}` : `${shown.length} of ${all.length}`;
    setText(count, `${total} events${held}${dropped}`);
  };
  const toggleRun = (key: string): void => {
    if (!unfolded.delete(key)) unfolded.add(key);
    refresh();
  };
  scope.listen<MouseEvent>(list.element, "click", (event) => {
    const pill = (event.target as HTMLElement).closest(".rnb-event-audio");
    const row = pill && list.rowOf(pill);
    if (row) void detail.play("run" in row ? row.run : [row.event]);
  });
  let pending = false;
  source.events.changed.subscribe(scope, () => {
    if (pending) return;
    pending = true;
    scope.frame(() => {
      pending = false;
      types.update(countTypes(source.events.rows));
      refresh();
    });
  });
  filter.subscribe(scope, () => {
    refresh();
    setText(found, count.textContent);
  });
  folding.subscribe(scope, () => refresh());
  paused.subscribe(scope, (isPaused) => {
    frozen = isPaused ? [...source.events.rows] : null;
    refresh();
  });
  types.update(countTypes(source.events.rows));
  refresh();

  return h(
    "section",
    { class: "rnb-panel rnb-inspector", "aria-label": "Event inspector" },
    h("div", { class: "rnb-panel-title-row" }, h("h2", { class: "rnb-panel-title" }, "Events"), count, found),
    h("div", { class: "rnb-toolbar" }, searchBox(scope, filter), directions(scope, filter), types.element, foldButton(scope, folding), pauseButton(scope, paused)),
    h("div", { class: "rnb-list-frame" }, empty, list.element),
    detail.element,
  );
}

function countTypes(rows: readonly EventRow[]): Map<string, number> {
  const counts = new Map<string, number>();
  for (const { event_type } of rows) counts.set(event_type, (counts.get(event_type) ?? 0) + 1);
  return counts;
}

function eventRow({ event, member }: SingleRow<InspectedEvent>): HTMLElement {
  const row = frameOf(event, event.summary);
  if (member) row.dataset["member"] = "true";
  if (event.audio_ms !== null) row.append(audioPill(event.audio_ms));
  return row;
}

function runRow({ run, unfolded }: RunRow<InspectedEvent>): HTMLElement {
  const [first] = run;
  if (!first) return h("div");
  const row = frameOf(first, runSummary(run));
  row.dataset["run"] = unfolded ? "unfolded" : "folded";
  row.title = `${run.length} events; a click or Enter ${unfolded ? "folds" : "unfolds"} them`;
  const audioMs = run.reduce((sum, event) => sum + (event.audio_ms ?? 0), 0);
  const count = h("span", { class: "rnb-event-count" }, `${unfolded ? "▾" : "▸"} ×${run.length}`);
  row.append(h("span", { class: "rnb-event-end" }, audioMs > 0 && audioPill(audioMs), count));
  return row;
}

function frameOf(event: InspectedEvent, summary: string): HTMLElement {
  const sent = event.direction === "sent";
  return h(
    "div",
    { class: "rnb-event", "data-direction": event.direction, "data-family": familyOf(event.event_type) },
    h("time", {}, formatTime(event.time_ms)),
    h("span", { class: "rnb-arrow", title: sent ? "sent to the server" : "received from the server" }, sent ? "↑" : "↓"),
    h("span", { class: "rnb-event-type" }, event.event_type),
    h("span", { class: "rnb-event-summary" }, summary),
  );
}

/** The payload's length; a click plays it. The keyboard's way is the button of the opened event. */
function audioPill(audioMs: number): HTMLElement {
  const label = formatDuration(audioMs);
  return h("button", { type: "button", class: "rnb-event-audio", tabindex: -1, title: `Play ${label} of audio` }, icon("play"), label);
}

function searchBox(scope: Scope, filter: Signal<EventFilter>): HTMLElement {
  const input = h("input", { class: "rnb-input", type: "search", placeholder: "Search events", "aria-label": "Search events" });
  scope.listen(input, "input", () => filter.set({ ...filter.value, search: input.value }));
  scope.listen<KeyboardEvent>(input, "keydown", (event) => event.stopPropagation());
  return h("div", { class: "rnb-search" }, icon("search"), input);
}

function directions(scope: Scope, filter: Signal<EventFilter>): HTMLElement {
  const choices = [
    ["all", "All"],
    ["sent", "↑ Sent"],
    ["received", "↓ Received"],
  ] as const;
  const group = h("div", { class: "rnb-segments", role: "group", "aria-label": "Direction" });
  for (const [direction, label] of choices) {
    const choice = button(label, { kind: "quiet" });
    scope.listen(choice, "click", () => filter.set({ ...filter.value, direction }));
    filter.watch(scope, (value) => choice.setAttribute("aria-pressed", String(value.direction === direction)));
    group.append(choice);
  }
  return group;
}

function foldButton(scope: Scope, folding: Signal<boolean>): HTMLElement {
  const toggle = button("Fold", { title: "One row for a run of audio or of pieces of an answer" });
  scope.listen(toggle, "click", () => folding.set(!folding.value));
  folding.watch(scope, (value) => toggle.setAttribute("aria-pressed", String(value)));
  return toggle;
}

function pauseButton(scope: Scope, paused: Signal<boolean>): HTMLElement {
  const toggle = button("Pause", { icon: "pause", iconOnly: true, title: "Hold the list still; nothing is lost" });
  scope.listen(toggle, "click", () => paused.set(!paused.value));
  paused.watch(scope, (value) => toggle.setAttribute("aria-pressed", String(value)));
  return toggle;
}
