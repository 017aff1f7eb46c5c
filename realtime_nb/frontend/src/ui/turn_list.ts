import type { TimelineRow } from "../core/rows.gen.ts";
import type { Scope } from "../core/scope.ts";
import type { Signal } from "../core/signal.ts";
import { h } from "./dom.ts";
import { formatMs, StageBar } from "./stage_bar.ts";
import { scaleOf } from "./waterfall.ts";

/** Turns as bars on one axis, to choose one from. */
export function turnList(scope: Scope, turns: Signal<TimelineRow[]>, selected: Signal<number>): HTMLElement {
  const list = h("div", { class: "rnb-turn-list", role: "listbox", "aria-label": "Turns" });
  let rows = scope.child();
  let options: HTMLElement[] = [];
  const mark = (): void =>
    options.forEach((option, index) => {
      option.setAttribute("aria-selected", String(index === selected.value));
      option.tabIndex = index === selected.value ? 0 : -1;
    });
  turns.watch(scope, (found) => {
    const hadFocus = list.contains(document.activeElement);
    rows.dispose();
    rows = scope.child();
    list.hidden = found.length < 2;
    const scaleMs = Math.max(1, ...found.map(scaleOf));
    options = found.map((turn, index) => option(turn, scaleMs, index));
    options.forEach((each, index) => {
      rows.listen(each, "click", () => selected.set(index));
      rows.listen<KeyboardEvent>(each, "keydown", (event) => {
        const target = { ArrowDown: index + 1, ArrowUp: index - 1, Home: 0, End: options.length - 1 }[event.key];
        if (target === undefined || !options[target]) return;
        event.preventDefault();
        selected.set(target);
        options[target]?.focus();
      });
    });
    list.replaceChildren(...options);
    mark();
    if (hadFocus) options[selected.value]?.focus();
  });
  selected.subscribe(scope, mark);
  return list;
}

function option(turn: TimelineRow, scaleMs: number, index: number): HTMLElement {
  const bar = new StageBar();
  bar.update({ spans: turn.spans, scaleMs, nowMs: null, pending: null });
  const total = turn.voice_to_voice_ms === null ? "not known" : formatMs(turn.voice_to_voice_ms);
  const flagged = turn.flags.length > 0 ? h("span", { class: "rnb-flagged", title: turn.flags.join("; ") }, "not believable") : null;
  return h(
    "div",
    { class: "rnb-turn-option", role: "option", "aria-selected": "false" },
    h("span", { class: "rnb-turn-title" }, `${index + 1}. ${turn.title}`, flagged),
    bar.element,
    h("span", { class: "rnb-took" }, total),
  );
}
