import { expect, it, vi } from "vitest";
import type { RecordingRow, TranscriptEntry } from "../src/core/messages.gen.ts";
import { Emitter, Signal } from "../src/core/signal.ts";
import { familyOf, formatTime, matches, prettyJson, SHOW_ALL } from "../src/ui/event_filter.ts";
import { inspector } from "../src/ui/inspector.ts";
import { levelDb } from "../src/ui/meter.ts";
import { RecordingSign } from "../src/ui/recording_sign.ts";
import { columns } from "../src/ui/static_waveform.ts";
import { talkButton } from "../src/ui/talk_button.ts";
import { splitHeard, transcript, type TranscriptRow } from "../src/ui/transcript.ts";
import { EventStore } from "../src/widgets/event_store.ts";
import { StudioState } from "../src/widgets/studio_state.ts";
import { eventRow, scope } from "./page.ts";

function line(change: Partial<TranscriptEntry>): TranscriptEntry {
  return { item_id: "a", order: 1, role: "user", text: "Hi", final: true, heard_characters: null, status: "", ...change };
}

it("splits a reply where the listener stopped hearing, by characters and not by code units", () => {
  expect(splitHeard("👋 hello", 2)).toEqual(["👋 ", "hello"]);
  expect(splitHeard("hello", null)).toEqual(["hello", ""]);
  expect(splitHeard("hello", 0)).toEqual(["", "hello"]);
  expect(splitHeard("Good morning", 4)).toEqual(["Good ", "morning"]);
});

it("shows both sides in order, updates a line in place and strikes what was not heard", () => {
  const state = new StudioState();
  const element = transcript(scope, state.transcript as Signal<TranscriptRow[]>, state.calls);
  const update = (...entries: TranscriptEntry[]): void => state.receive({ type: "transcript_update", entries });
  update(line({ item_id: "b", order: 2, role: "assistant", text: "Good", final: false }));
  update(line({ item_id: "a", order: 1, text: "Hello" }));
  const texts = (): string[] => [...element.querySelectorAll(".rnb-line-text")].map((each) => each.textContent ?? "");
  expect(texts()).toEqual(["Hello", "Good"]);
  const kept = element.querySelectorAll(".rnb-line")[1];
  update(line({ item_id: "b", order: 2, role: "assistant", text: "Good morning", heard_characters: 4 }));
  expect(element.querySelectorAll(".rnb-line")[1]).toBe(kept);
  expect(element.querySelectorAll("s")[1]?.textContent).toBe("morning");
});

it("says in words that the session is recorded, where to, and why it stopped", () => {
  const sign = new RecordingSign();
  const text = (): string => (sign.element.hidden ? "" : sign.element.textContent);
  sign.show(null, false);
  expect(text()).toBe("");
  const recording: RecordingRow = { folder: "recordings/today", state: "writing", problem: "" };
  sign.show(recording, false);
  expect(text()).toBe("Recording to the folder recordings/today");
  sign.show(recording, true);
  expect(text()).toBe("Last known: recording to the folder recordings/today");
  sign.show({ ...recording, state: "ended" }, true);
  expect(text()).toBe("Recorded to the folder recordings/today");
  sign.show({ ...recording, state: "failed", problem: "the disk is full" }, false);
  expect(text()).toBe("Recording stopped: the disk is full. What was written is in the folder recordings/today");
  expect(sign.element.title).toBe(text());
});

it("keeps an earlier session readable when a new one begins", () => {
  const state = new StudioState();
  const session = state.session.value;
  state.receive({ ...session, state: "connected" });
  state.receive({ type: "transcript_update", entries: [line({ text: "old", order: 9 })] });
  state.receive({ type: "events", rows: [eventRow(1), eventRow(2)], dropped: 0 });
  state.receive({ ...session, state: "connecting" });
  state.receive({ type: "transcript_update", entries: [line({ text: "new", order: 1 })] });
  state.receive({ type: "events", rows: [eventRow(1)], dropped: 0 });
  expect(state.transcript.value.map(({ text }) => text)).toEqual(["old", "new"]);
  expect(state.events.rows.map(({ epoch, sequence }) => [epoch, sequence])).toEqual([
    [0, 1],
    [0, 2],
    [1, 1],
  ]);
});

it("skips events that a returning link repeats and bounds what it keeps", () => {
  const store = new EventStore();
  store.add([eventRow(1), eventRow(2)], 0);
  store.add([eventRow(1), eventRow(2), eventRow(3)], 0);
  expect(store.rows.map(({ sequence }) => sequence)).toEqual([1, 2, 3]);
  store.add(Array.from({ length: 6000 }, (_, i) => eventRow(i + 4)), 0);
  expect(store.rows).toHaveLength(5000);
  expect(store.dropped).toBe(1003);
  store.add([eventRow(2)], 0);
  expect(store.rows).toHaveLength(5000);
});

it("filters by direction, type and text", () => {
  const event = eventRow(1, { summary: "Opening hours", payload: '{"item":"item_7"}' });
  expect(matches(event, SHOW_ALL)).toBe(true);
  expect(matches(event, { ...SHOW_ALL, direction: "sent" })).toBe(false);
  expect(matches(event, { ...SHOW_ALL, hidden: new Set(["response.created"]) })).toBe(false);
  expect(matches(event, { ...SHOW_ALL, search: "HOURS" })).toBe(true);
  expect(matches(event, { ...SHOW_ALL, search: "item_7" })).toBe(true);
  expect(matches(event, { ...SHOW_ALL, search: "absent" })).toBe(false);
  expect(familyOf("input_audio_buffer.commit")).toBe("input audio");
  expect(familyOf("rate_limits.updated")).toBe("other");
  expect(formatTime(61_234.5)).toBe("1:01.234");
  expect(prettyJson("not json")).toBe("not json");
});

it("opens an event with its elided payload first and the full one when it comes", async () => {
  const store = new EventStore();
  store.add([eventRow(1, { payload: '{"delta":"<9600 bytes>"}', audio_ms: 200 }), eventRow(2, { direction: "sent" })], 0);
  let answer: (event: string) => void = () => {};
  const run = vi.fn(
    () => new Promise<never>((resolve) => {
      answer = (event) => resolve({ type: "command_result", id: 1, ok: true, result: { json: event }, error: "", what_now: "" } as never);
    }),
  );
  const playAudio = vi.fn(() => Promise.resolve(""));
  const element = inspector(scope, { events: store, run, playAudio });
  document.body.append(element);
  await vi.advanceTimersByTimeAsync(50);
  const rows = (): NodeListOf<HTMLElement> => element.querySelectorAll<HTMLElement>(".rnb-event");
  expect(rows()).toHaveLength(2);
  rows()[0]?.click();
  expect(element.querySelector("pre")?.textContent).toContain("<9600 bytes>");
  expect(run).toHaveBeenCalledWith("get_event", { sequence: 1 });
  answer('{"delta":"AAAA"}');
  await vi.advanceTimersByTimeAsync(50);
  expect(element.querySelector("pre")?.textContent).toContain('"AAAA"');
  [...element.querySelectorAll("button")].find((each) => each.textContent === "Play audio")?.click();
  expect(playAudio).toHaveBeenCalledOnce();
  rows()[0]?.querySelector<HTMLButtonElement>(".rnb-event-audio")?.click();
  expect(playAudio).toHaveBeenCalledTimes(2);
  [...element.querySelectorAll("button")].find((each) => each.textContent === "↑ Sent")?.click();
  await vi.advanceTimersByTimeAsync(50);
  expect(rows()).toHaveLength(1);
  element.querySelector<HTMLButtonElement>('[aria-label="Pause"]')?.click();
  store.add([eventRow(3, { direction: "sent" })], 0);
  await vi.advanceTimersByTimeAsync(50);
  expect(rows()).toHaveLength(1);
  expect(element.querySelector(".rnb-count")?.textContent).toContain("1 held");
});

it("builds only the rows in sight", async () => {
  const store = new EventStore();
  store.add(Array.from({ length: 4000 }, (_, i) => eventRow(i + 1)), 0);
  const element = inspector(scope, { events: store, run: vi.fn(), playAudio: vi.fn() });
  document.body.append(element);
  await vi.advanceTimersByTimeAsync(50);
  expect(element.querySelectorAll(".rnb-event").length).toBeLessThan(60);
});

it("releases push-to-talk on pointer up, cancel, lost focus, key up and when the view goes", () => {
  const phase = new Signal<"idle" | "opening" | "talking" | "ending">("idle");
  const talk = { phase, press: vi.fn(), release: vi.fn() };
  const view = scope.child();
  const button = talkButton(view, talk);
  const fire = (type: string, init: object = {}): boolean => button.dispatchEvent(Object.assign(new Event(type, { cancelable: true }), init));
  for (const end of ["pointerup", "pointercancel", "blur"]) {
    fire("pointerdown", { button: 0 });
    fire(end);
  }
  for (const key of [" ", "Enter"]) {
    fire("keydown", { key });
    fire("keydown", { key, repeat: true });
    fire("keyup", { key });
  }
  fire("pointerdown", { button: 2 });
  expect(talk.press).toHaveBeenCalledTimes(5);
  expect(talk.release).toHaveBeenCalledTimes(5);
  fire("pointerdown", { button: 0 });
  view.dispose();
  expect(talk.release).toHaveBeenCalledTimes(6);
});

it("measures level and reduces peaks to columns without losing the loudest", () => {
  expect(levelDb(Int16Array.of(0, 0))).toBe(-60);
  expect(levelDb(Int16Array.of(-16_384))).toBeCloseTo(-6.02, 1);
  const peaks = new Int8Array(2000);
  peaks[1001] = 99;
  const highs = columns(peaks, 300).map(([, , high]) => high);
  expect(highs).toHaveLength(100);
  expect(Math.max(...highs)).toBe(99);
});

it("leaves no subscriber behind", () => {
  const events = { rows: [], dropped: 0, epoch: 0, changed: new Emitter<void>() };
  const view = scope.child();
  inspector(view, { events, run: vi.fn(), playAudio: vi.fn() });
  expect(events.changed.subscriberCount).toBe(1);
  view.dispose();
  expect(events.changed.subscriberCount).toBe(0);
});
