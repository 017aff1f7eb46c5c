import type { PendingRow, SpanRow } from "../core/rows.gen.ts";
import { h, setText } from "./dom.ts";

export interface BarContent {
  spans: SpanRow[];
  /** What the whole width stands for. */
  scaleMs: number;
  /** Draw only what has happened by then; null draws all. */
  nowMs: number | null;
  /** The stage under way, with `since_ms` on the axis of the bar. */
  pending: PendingRow | null;
}

/** A turn's stages in one line. It is a picture: whoever uses it says the same in words. */
export class StageBar {
  readonly element = h("div", { class: "rnb-track", "aria-hidden": "true" });
  #bars: HTMLElement[] = [];

  update({ spans, scaleMs, nowMs, pending }: BarContent): void {
    const shown = spans.map((span) => ({ ...span, open: false }));
    if (pending && nowMs !== null && nowMs > pending.since_ms) {
      shown.push({ ...NO_SPAN, name: pending.name, label: pending.label, what: pending.what, start_ms: pending.since_ms, end_ms: nowMs, open: true });
    }
    while (this.#bars.length > shown.length) this.#bars.pop()?.remove();
    shown.forEach((span, index) => {
      const endMs = nowMs === null ? span.end_ms : Math.min(span.end_ms, nowMs);
      const bar = (this.#bars[index] ??= this.element.appendChild(h("i", { class: "rnb-span" })));
      place(bar, span.start_ms, Math.max(span.start_ms, endMs), scaleMs);
      bar.dataset["stage"] = span.name;
      bar.dataset["open"] = String(span.open);
      const took = span.open ? "" : `, ${formatMs(span.end_ms - span.start_ms, span.error_ms)}`;
      bar.title = `${span.label}${took}: ${span.what}`;
    });
  }
}

const NO_SPAN = { error_ms: 0, source: "" };

/** Put a bar where its time is. */
export function place(bar: HTMLElement, startMs: number, endMs: number, scaleMs: number): void {
  const percent = (valueMs: number): number => (scaleMs > 0 ? Math.min(100, Math.max(0, (valueMs / scaleMs) * 100)) : 0);
  bar.style.left = `${percent(startMs).toFixed(3)}%`;
  bar.style.width = `${(percent(endMs) - percent(startMs)).toFixed(3)}%`;
}

/** A duration with its unit and, where it is not exact, its error. */
export function formatMs(valueMs: number, errorMs = 0): string {
  const error = errorMs >= 0.05 ? ` ± ${errorMs.toFixed(errorMs < 10 ? 1 : 0)}` : "";
  return `${valueMs.toFixed(Math.abs(valueMs) >= 100 ? 0 : 1)}${error} ms`;
}

/** A round step for at most `most` marks on an axis of that length. */
export function tickMs(scaleMs: number, most = 6): number {
  const rough = Math.max(1, scaleMs) / most;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].find((factor) => factor * power >= rough) ?? 10;
  return step * power;
}

/** Marks under bars, at round times. */
export class Axis {
  readonly element = h("div", { class: "rnb-axis", "aria-hidden": "true" });
  #scaleMs = -1;

  update(scaleMs: number, most = 6): number {
    const step = tickMs(scaleMs, most);
    if (scaleMs === this.#scaleMs) return step;
    this.#scaleMs = scaleMs;
    this.element.replaceChildren();
    const inSeconds = step >= 1000;
    for (let at = 0; at <= scaleMs; at += step) {
      const mark = h("span", {});
      setText(mark, at === 0 ? "0" : inSeconds ? `${at / 1000} s` : `${at} ms`);
      mark.style.left = `${(at / scaleMs) * 100}%`;
      mark.dataset["edge"] = String(at / scaleMs > 0.95);
      this.element.append(mark);
    }
    return step;
  }
}

/** What the colours mean, of the stages that are drawn. */
export class StageLegend {
  readonly element = h("ul", { class: "rnb-stage-legend", "aria-label": "Colours" });
  #shown = "";

  update(spans: Iterable<Pick<SpanRow, "name" | "label">>): void {
    const last = (name: string): number => Number(name === "unattributed");
    const labels = new Map([...spans].sort((a, b) => last(a.name) - last(b.name)).map(({ name, label }) => [name, label]));
    const shown = [...labels.keys()].join();
    if (shown === this.#shown) return;
    this.#shown = shown;
    this.element.replaceChildren(...[...labels].map(([name, label]) => h("li", {}, h("i", { class: "rnb-span", "data-stage": name }), label)));
  }
}
