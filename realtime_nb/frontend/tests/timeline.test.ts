import { expect, it } from "vitest";
import type { MomentRow, SpanRow, TimelineRow } from "../src/core/rows.gen.ts";
import { Signal } from "../src/core/signal.ts";
import { Axis, formatMs, place, StageBar, StageLegend, tickMs } from "../src/ui/stage_bar.ts";
import { turnList } from "../src/ui/turn_list.ts";
import { scaleOf, waterfall } from "../src/ui/waterfall.ts";
import { scope } from "./page.ts";

function span(name: string, start_ms: number, end_ms: number, change: Partial<SpanRow> = {}): SpanRow {
  return { name, label: name, what: `what ${name} is`, start_ms, end_ms, error_ms: 0, source: "measured", ...change };
}

function moment(name: string, time_ms: number | null, change: Partial<MomentRow> = {}): MomentRow {
  return { name, label: name, what: `what ${name} is`, time_ms, error_ms: 0, source: "measured", beside: false, why: "", ...change };
}

function turn(change: Partial<TimelineRow> = {}): TimelineRow {
  return {
    title: "Realtime",
    route: "Realtime",
    made_by: "scripted",
    simulated: [],
    headline: "Voice to voice 700 ms, to the loudspeaker",
    voice_to_voice_ms: 700,
    spans: [span("vad_hold", 0, 500), span("unattributed", 500, 690), span("output", 690, 700, { error_ms: 5 })],
    moments: [moment("transcript", 800, { beside: true }), moment("rendered", null, { why: "nobody listened" })],
    flags: [],
    ...change,
  };
}

it("writes durations with unit and error, and marks at round times", () => {
  expect(formatMs(612.4)).toBe("612 ms");
  expect(formatMs(3.46, 0.02)).toBe("3.5 ms");
  expect(formatMs(40, 12)).toBe("40.0 ± 12 ms");
  expect([0.5, 700, 1300, 61_000].map((ms) => tickMs(ms))).toEqual([0.2, 200, 500, 20_000]);
  const axis = new Axis();
  expect(axis.update(1000)).toBe(200);
  expect([...axis.element.children].map(({ textContent }) => textContent)).toEqual(["0", "200 ms", "400 ms", "600 ms", "800 ms", "1000 ms"]);
  expect([...axis.element.children].at(-1)?.getAttribute("data-edge")).toBe("true");
});

it("draws only what has happened, and the stage under way up to now", () => {
  const bar = new StageBar();
  const pending = { name: "output", label: "Output", what: "", since_ms: 690 };
  const styles = (): string[] => [...bar.element.children].map((each) => `${(each as HTMLElement).style.left} ${(each as HTMLElement).style.width}`);
  bar.update({ spans: turn().spans.slice(0, 2), scaleMs: 1000, nowMs: 600, pending });
  expect(styles()).toEqual(["0% 50%", "50% 10%"]);
  bar.update({ spans: turn().spans.slice(0, 2), scaleMs: 1000, nowMs: 750, pending });
  expect(styles()[2]).toBe("69% 6%");
  expect((bar.element.children[2] as HTMLElement).dataset["open"]).toBe("true");
  bar.update({ spans: turn().spans, scaleMs: 1000, nowMs: null, pending: null });
  expect(styles()[2]).toBe("69% 1%");
  expect((bar.element.children[2] as HTMLElement).title).toBe("output, 10.0 ± 5.0 ms: what output is");
});

it("keeps bars inside of their axis, whatever it is", () => {
  const bar = document.createElement("i");
  place(bar, -50, 2000, 1000);
  expect(bar.style.cssText).toContain("left: 0%; width: 100%");
  place(bar, 5, 10, 0);
  expect(bar.style.width).toBe("0%");
});

it("says each stage, what ran beside, what was not measured and what is not believable", () => {
  const row = new Signal<TimelineRow | null>(null);
  const element = waterfall(scope, row);
  document.body.append(element);
  expect(element.querySelector(".rnb-headline")?.textContent).toBe("No turn yet.");
  row.set(turn({ flags: ["committed came 20.0 ms before speech_stopped"], simulated: ["network: 4G (simulated)"] }));
  const names = [...element.querySelectorAll<HTMLButtonElement>(".rnb-stage-name")];
  expect(names.map(({ textContent }) => textContent)).toEqual(["vad_hold", "unattributed", "output", "transcript", "rendered"]);
  expect(element.querySelector(".rnb-made-by")?.textContent).toBe("scripted · network: 4G (simulated)");
  expect(element.querySelector('[role="alert"]')?.textContent).toBe("Not believable: committed came 20.0 ms before speech_stopped");
  expect(element.querySelector(".rnb-moment")).not.toBeNull();
  expect(element.textContent).toContain("not measured: nobody listened");
  const described = document.getElementById(names[2]?.getAttribute("aria-describedby") ?? "");
  expect(described?.textContent).toBe("what output is. 10.0 ± 5.0 ms, measured");
  expect(scaleOf(turn())).toBeCloseTo(816);
});

it("explains a stage by pointer and by keyboard, with one stop for Tab", () => {
  const row = new Signal<TimelineRow | null>(turn());
  const element = waterfall(scope, row);
  document.body.append(element);
  const explained = (): string => element.querySelector(".rnb-explain")?.textContent ?? "";
  expect(explained()).toContain("Point at a stage");
  const names = [...element.querySelectorAll<HTMLButtonElement>(".rnb-stage-name")];
  expect(names.filter(({ tabIndex }) => tabIndex === 0)).toHaveLength(1);
  element.querySelectorAll("tbody tr")[1]?.dispatchEvent(new Event("pointerenter"));
  expect(explained()).toBe("unattributed: what unattributed is. 190 ms, measured");
  names[0]?.focus();
  names[0]?.dispatchEvent(new KeyboardEvent("keydown", { key: "End" }));
  expect(document.activeElement).toBe(names[4]);
  expect(explained()).toContain("not measured: nobody listened");
  names[4]?.dispatchEvent(new KeyboardEvent("keydown", { key: "ArrowUp" }));
  expect(explained()).toContain("that ran beside the answer");
  expect(names.filter(({ tabIndex }) => tabIndex === 0)).toEqual([names[3]]);
  names[3]?.dispatchEvent(new KeyboardEvent("keydown", { key: "x" }));
  expect(document.activeElement).toBe(names[3]);
});

it("chooses among turns, and hides the list of a single one", () => {
  const turns = new Signal([turn()]);
  const selected = new Signal(0);
  const list = turnList(scope, turns, selected);
  document.body.append(list);
  expect(list.hidden).toBe(true);
  turns.set([turn(), turn({ title: "Chain", voice_to_voice_ms: null, flags: ["odd"] })]);
  expect(list.hidden).toBe(false);
  const options = [...list.querySelectorAll<HTMLElement>('[role="option"]')];
  expect(options[1]?.textContent).toBe("2. Chainnot believablenot known");
  options[0]?.dispatchEvent(new KeyboardEvent("keydown", { key: "ArrowDown" }));
  expect(selected.value).toBe(1);
  expect(options.map((each) => each.getAttribute("aria-selected"))).toEqual(["false", "true"]);
  options[1]?.dispatchEvent(new KeyboardEvent("keydown", { key: "ArrowDown" }));
  expect(selected.value).toBe(1);
  options[0]?.click();
  expect(selected.value).toBe(0);
});

it("names each colour once, the unattributed last", () => {
  const legend = new StageLegend();
  legend.update([span("unattributed", 0, 1), span("vad_hold", 0, 1), span("vad_hold", 1, 2)]);
  expect([...legend.element.children].map(({ textContent }) => textContent)).toEqual(["vad_hold", "unattributed"]);
});
