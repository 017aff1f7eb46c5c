import type { MomentRow, SpanRow, TimelineRow } from "../core/rows.gen.ts";
import { Scope } from "../core/scope.ts";
import type { Signal } from "../core/signal.ts";
import { h, setText } from "./dom.ts";
import { Axis, formatMs, place } from "./stage_bar.ts";

const HINT = "Point at a stage, or move to it with Tab and the arrow keys, to read what it is.";
let nextId = 1;

interface Line {
  label: string;
  what: string;
  value: string;
  words: string;
  facts: string;
  stage: string;
  startMs: number;
  endMs: number;
  kind: "stage" | "beside" | "unmeasured";
}

/**
 * One turn's stages, each on a line of its own: the table is both the picture and its reading. Roles are spelled out
 * because a narrow page lays its rows out as grids.
 */
export function waterfall(scope: Scope, row: Signal<TimelineRow | null>): HTMLElement {
  const headline = h("p", { class: "rnb-headline" });
  const made = h("p", { class: "rnb-made-by" });
  const flags = h("ul", { class: "rnb-flags", role: "alert", hidden: true });
  const body = h("tbody", {});
  const explain = h("div", { class: "rnb-explain" });
  const axis = new Axis();
  const axisCell = h("td", {}, axis.element);
  const caption = h("caption", { class: "rnb-sr" });
  const table = h(
    "table",
    { class: "rnb-waterfall", role: "table" },
    caption,
    h("thead", { class: "rnb-sr" }, h("tr", { role: "row" }, ...["Stage", "When", "Took"].map((text) => h("th", { scope: "col", role: "columnheader" }, text)))),
    body,
    h("tfoot", { "aria-hidden": "true" }, h("tr", {}, h("td", {}), axisCell, h("td", {}))),
  );
  let lines = scope.child();
  row.watch(scope, (turn) => {
    lines.dispose();
    lines = scope.child();
    table.hidden = !turn;
    setText(headline, turn ? turn.headline : "No turn yet.");
    setText(made, turn ? madeBy(turn) : "");
    made.hidden = made.textContent === "";
    flags.hidden = !turn || turn.flags.length === 0;
    flags.replaceChildren(...(turn?.flags ?? []).map((flag) => h("li", {}, h("strong", {}, "Not believable: "), flag)));
    setExplanation(explain, null);
    body.replaceChildren();
    if (!turn) return;
    setText(caption, `${turn.title}. ${turn.headline}. Stages in order.`);
    const scaleMs = scaleOf(turn);
    const step = axis.update(scaleMs);
    table.style.setProperty("--rnb-tick", `${(step / scaleMs) * 100}%`);
    body.append(...rows(lines, linesOf(turn), scaleMs, (line) => setExplanation(explain, line)));
  });
  return h("section", { class: "rnb-turn", "aria-label": "Where the time went" }, headline, made, flags, table, explain);
}

/** The length of the axis: the last thing that is drawn. */
export function scaleOf(turn: TimelineRow): number {
  const ends = [...turn.spans.map(({ end_ms }) => end_ms), ...turn.moments.map(({ time_ms }) => time_ms ?? 0)];
  return Math.max(1, ...ends) * 1.02;
}

export function madeBy(turn: Pick<TimelineRow, "made_by" | "simulated">): string {
  return [turn.made_by, ...turn.simulated].filter(Boolean).join(" · ");
}

function linesOf(turn: TimelineRow): Line[] {
  const stages = turn.spans.map(stageLine);
  const beside = turn.moments.filter((moment) => moment.beside).map(besideLine);
  const unmeasured = turn.moments.filter((moment) => moment.time_ms === null).map(unmeasuredLine);
  return [...stages, ...beside, ...unmeasured];
}

function stageLine(span: SpanRow): Line {
  const took = formatMs(span.end_ms - span.start_ms, span.error_ms);
  return {
    label: span.label,
    what: span.what,
    value: took,
    words: `from ${formatMs(span.start_ms)} to ${formatMs(span.end_ms)}`,
    facts: `${took}, ${span.source}`,
    stage: span.name,
    startMs: span.start_ms,
    endMs: span.end_ms,
    kind: "stage",
  };
}

function besideLine(moment: MomentRow): Line {
  const at = moment.time_ms ?? 0;
  return {
    label: moment.label,
    what: `${moment.what}; that ran beside the answer and explains none of the wait`,
    value: `at ${formatMs(at)}`,
    words: `beside the others, at ${formatMs(at, moment.error_ms)}`,
    facts: `at ${formatMs(at, moment.error_ms)}, ${moment.source}`,
    stage: "beside",
    startMs: at,
    endMs: at,
    kind: "beside",
  };
}

function unmeasuredLine(moment: MomentRow): Line {
  const words = `not measured: ${moment.why}`;
  return { label: moment.label, what: moment.what, value: "—", words, facts: words, stage: "", startMs: 0, endMs: 0, kind: "unmeasured" };
}

function rows(scope: Scope, lines: Line[], scaleMs: number, explain: (line: Line) => void): HTMLElement[] {
  const names: HTMLButtonElement[] = [];
  const focus = (index: number): void => {
    const wanted = names[Math.min(names.length - 1, Math.max(0, index))];
    for (const name of names) name.tabIndex = name === wanted ? 0 : -1;
    wanted?.focus();
  };
  return lines.map((line, index) => {
    const id = `rnb-what-${nextId++}`;
    const name = h("button", { type: "button", class: "rnb-stage-name", "aria-describedby": id }, line.label);
    name.tabIndex = index === 0 ? 0 : -1;
    names.push(name);
    const bar = h("i", { class: line.kind === "beside" ? "rnb-moment" : "rnb-span", "data-stage": line.stage });
    if (line.kind !== "unmeasured") place(bar, line.startMs, line.endMs, scaleMs);
    const track = h("div", { class: "rnb-track", "aria-hidden": "true" }, line.kind === "unmeasured" ? h("em", {}, line.words) : bar);
    const element = h(
      "tr",
      { "data-kind": line.kind, role: "row" },
      h("th", { scope: "row", role: "rowheader" }, name),
      h("td", { role: "cell" }, track, h("span", { class: "rnb-sr" }, line.words)),
      h("td", { class: "rnb-took", role: "cell" }, line.value, h("span", { id, class: "rnb-sr" }, `${line.what}. ${line.facts}`)),
    );
    scope.listen(element, "pointerenter", () => explain(line));
    scope.listen(name, "focus", () => explain(line));
    scope.listen<KeyboardEvent>(name, "keydown", (event) => {
      const target = { ArrowDown: index + 1, ArrowUp: index - 1, Home: 0, End: names.length - 1 }[event.key];
      if (target === undefined) return;
      event.preventDefault();
      focus(target);
    });
    return element;
  });
}

function setExplanation(panel: HTMLElement, line: Line | null): void {
  if (line) panel.replaceChildren(h("strong", {}, line.label), `: ${line.what}. `, h("span", { class: "rnb-count" }, line.facts));
  else panel.replaceChildren(h("span", { class: "rnb-count" }, HINT));
}
