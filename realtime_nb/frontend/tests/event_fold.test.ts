import { expect, it, vi } from "vitest";
import type { EventRow } from "../src/core/messages.gen.ts";
import { foldRuns, formatBytes, isFoldable, runSummary } from "../src/ui/event_fold.ts";
import { inspector } from "../src/ui/inspector.ts";
import { EventStore } from "../src/widgets/event_store.ts";
import { eventRow, scope } from "./page.ts";

let count = 0;
function event(type: string, change: Partial<EventRow> = {}): EventRow & { epoch: number } {
  const sequence = count++;
  const direction = type.startsWith("input") ? "sent" : "received";
  return { ...eventRow(sequence, { time_ms: sequence * 20, event_type: type, direction, ...change }), epoch: 0 };
}

const append = (): EventRow & { epoch: number } => event("input_audio_buffer.append", { audio_ms: 20, audio_bytes: 960 });
const word = (text: string): EventRow & { epoch: number } =>
  event("response.output_audio_transcript.delta", { summary: `“${text}”`, item_id: "item_1" });

const shape = (rows: ReturnType<typeof foldRuns>): string[] =>
  rows.map((row) => ("run" in row ? `${row.run[0]?.event_type} ×${row.run.length}` : row.event.event_type));

it("folds streams that run beside each other, and ends a run at any other event", () => {
  const events = [append(), word("Hel"), append(), word("lo"), append(), event("response.done"), append(), append(), word("x")];
  expect(shape(foldRuns(events, new Set()))).toEqual([
    "input_audio_buffer.append ×3",
    "response.output_audio_transcript.delta ×2",
    "response.done",
    "input_audio_buffer.append ×2",
    "response.output_audio_transcript.delta",
  ]);
});

it("keeps items, sessions and directions apart", () => {
  const one = word("a");
  const rows = foldRuns([one, { ...word("b"), item_id: "item_2" }, { ...word("c"), epoch: 1 }], new Set());
  expect(rows).toHaveLength(3);
  expect(isFoldable("response.function_call_arguments.delta")).toBe(true);
  expect(isFoldable("response.created")).toBe(false);
});

it("says how much and over which time, or the words", () => {
  const at = (timeMs: number): EventRow => ({ ...append(), time_ms: timeMs });
  expect(runSummary([at(0), at(20), at(45)])).toBe("2.9 kB · over 45 ms");
  expect(runSummary([{ ...word("Hel"), time_ms: 0 }, { ...word("lo"), time_ms: 1000 }])).toBe("“Hello” · over 1.00 s");
  expect([formatBytes(12), formatBytes(48_000), formatBytes(480_000), formatBytes(2_500_000)]).toEqual(["12 B", "48.0 kB", "480 kB", "2.5 MB"]);
});

it("shows a run as one row, unfolds it by click and by key, and folds nothing when told so", async () => {
  const store = new EventStore();
  const playAudio = vi.fn(() => Promise.resolve(""));
  const element = inspector(scope, { events: store, run: vi.fn(() => new Promise<never>(() => {})), playAudio });
  document.body.append(element);
  const settle = (): Promise<unknown> => vi.advanceTimersByTimeAsync(50);
  const rows = (): HTMLElement[] => [...element.querySelectorAll<HTMLElement>(".rnb-event")];
  const total = (): string => element.querySelector(".rnb-count")?.textContent ?? "";
  store.add([event("session.created"), append(), append()], 0);
  await settle();
  expect(rows()).toHaveLength(2);
  expect(rows()[1]?.textContent).toContain("×2");
  store.add([append()], 0);
  await settle();
  expect(rows()).toHaveLength(2);
  expect(rows()[1]?.textContent).toContain("×3");
  expect(total()).toBe("4 events");
  rows()[1]?.querySelector<HTMLButtonElement>(".rnb-event-audio")?.click();
  expect(playAudio).toHaveBeenCalledWith(store.rows.slice(1));
  rows()[1]?.click();
  await settle();
  expect(rows()).toHaveLength(5);
  rows()[2]?.click();
  expect(element.querySelector(".rnb-detail-title")?.textContent).toContain("input_audio_buffer.append");
  const list = element.querySelector<HTMLElement>(".rnb-list");
  for (const key of ["Home", "ArrowDown", "Enter"]) {
    list?.dispatchEvent(Object.assign(new Event("keydown", { cancelable: true }), { key }));
    await settle();
  }
  expect(rows()).toHaveLength(2);
  const press = (label: string): void => [...element.querySelectorAll("button")].find((each) => each.textContent === label)?.click();
  press("Fold");
  await settle();
  expect(rows()).toHaveLength(4);
  press("Fold");
  press("↓ Received");
  await settle();
  expect(rows()).toHaveLength(1);
  expect(total()).toBe("1 of 4 events");
  press("↑ Sent");
  await settle();
  expect(rows()).toHaveLength(1);
  expect(total()).toBe("3 of 4 events");
  store.beginEpoch();
  rows()[0]?.querySelector<HTMLButtonElement>(".rnb-event-audio")?.click();
  await settle();
  expect(element.querySelector(".rnb-detail-note")?.textContent).toContain("earlier session");
  expect(playAudio).toHaveBeenCalledOnce();
});
