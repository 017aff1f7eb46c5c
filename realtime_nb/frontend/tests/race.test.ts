import { beforeEach, expect, it, vi } from "vitest";
import { LaneMixer, QUESTION } from "../src/audio/lane_mixer.ts";
import { registry } from "../src/core/audio_registry.ts";
import type { LaneRow, RaceRow, TableRow } from "../src/core/rows.gen.ts";
import { Signal } from "../src/core/signal.ts";
import { race, type RaceSource } from "../src/ui/race.ts";
import { raceNews } from "../src/ui/race_lane.ts";
import { raceTable } from "../src/ui/race_table.ts";
import { scope } from "./page.ts";

beforeEach(() => {
  registry().playback = null;
});

function lane(title: string, change: Partial<LaneRow> = {}): LaneRow {
  return {
    title,
    made_by: "scripted",
    simulated: [],
    phase: "idle",
    zero_ms: null,
    timeline: null,
    pending: null,
    heard: "",
    said: "",
    answer_ms: 0,
    place: 0,
    error: "",
    stream_id: 0,
    ...change,
  };
}

function done(title: string, totalMs: number, place: number): LaneRow {
  const span = { name: "vad_hold", label: "VAD hold", what: "", start_ms: 0, end_ms: totalMs, error_ms: 0, source: "measured" };
  const timeline = { title, route: title, made_by: "", simulated: [], headline: "", voice_to_voice_ms: totalMs, spans: [span], moments: [], flags: [] };
  return lane(title, { phase: "done", place, zero_ms: 2500, timeline });
}

function row(change: Partial<RaceRow> = {}): RaceRow {
  return {
    state: "idle",
    race: 0,
    races: 0,
    now_ms: 0,
    clip_title: "Where is my order?",
    clip_ms: 2860,
    question_stream_id: 0,
    lanes: [lane("Chain"), lane("Realtime")],
    tables: [],
    fairness: "A race is for seeing.",
    ...change,
  };
}

function source(change: Partial<RaceSource> = {}): RaceSource {
  return {
    race: new Signal<RaceRow | null>(row()),
    receivedMs: () => performance.now(),
    usable: new Signal(true),
    hearsQuestion: new Signal(true),
    audible: new Signal<ReadonlySet<number>>(new Set()),
    recorded: new Signal<ReadonlySet<number>>(new Set()),
    mute: vi.fn(),
    solo: vi.fn(),
    replay: vi.fn(),
    start: vi.fn(),
    stop: vi.fn(),
    ...change,
  };
}

const labelled = (root: Element, text: string): HTMLButtonElement =>
  [...root.querySelectorAll("button")].find((each) => each.textContent === text) as HTMLButtonElement;

it("starts as many races as chosen, and can be stopped only while one runs", () => {
  const from = source();
  const element = race(scope, from);
  document.body.append(element);
  const select = element.querySelector("select") as HTMLSelectElement;
  select.value = "5";
  labelled(element, "Start").click();
  expect(from.start).toHaveBeenCalledWith(5);
  expect(labelled(element, "Stop").disabled).toBe(true);
  expect(labelled(element, "Show again").disabled).toBe(true);
  from.race.set(row({ state: "racing", race: 2, races: 5, lanes: [lane("Chain", { phase: "asking" }), lane("Realtime", { phase: "asking" })] }));
  expect(labelled(element, "Race again").disabled).toBe(true);
  expect(element.querySelector(".rnb-race-status")?.textContent).toBe("race 2 of 5");
  labelled(element, "Stop").click();
  expect(from.stop).toHaveBeenCalledOnce();
  from.usable.set(false);
  expect(labelled(element, "Stop").disabled).toBe(true);
});

it("counts while a lane is at work, shows the figure when it is known, and the failure in its lane only", async () => {
  const from = source({ receivedMs: () => performance.now() });
  const element = race(scope, from);
  document.body.append(element);
  const pending = { name: "vad_hold", label: "VAD hold", what: "", since_ms: 2500 };
  const working = lane("Chain", { phase: "thinking", zero_ms: 2500, pending });
  from.race.set(row({ state: "racing", race: 1, races: 1, now_ms: 2923, lanes: [working, done("Realtime", 400, 1)] }));
  const times = (): Array<string | null> => [...element.querySelectorAll(".rnb-lane-time")].map(({ textContent }) => textContent);
  expect(times()).toEqual(["420 ms", "400 ms"]);
  expect(element.querySelector('[data-open="true"]')).not.toBeNull();
  expect(element.querySelector('[role="status"]')?.textContent).toBe("Realtime answers, place 1. Realtime: 400 ms.");
  from.race.set(row({ state: "done", race: 1, races: 1, lanes: [lane("Chain", { phase: "failed", error: "no answer in 60 s" }), done("Realtime", 400, 1)] }));
  await vi.advanceTimersByTimeAsync(20); // a frame
  expect(times()).toEqual(["failed", "400 ms"]);
  expect(element.querySelector(".rnb-lane-error")?.textContent).toBe("no answer in 60 s");
  expect(element.querySelector('[role="status"]')?.textContent).toBe("Chain failed: no answer in 60 s");
});

it("shows a finished race again, without the kernel", async () => {
  const from = source();
  const element = race(scope, from);
  document.body.append(element);
  from.race.set(row({ state: "done", race: 1, races: 1, lanes: [done("Chain", 1500, 2), done("Realtime", 400, 1)] }));
  const time = (): string | null => element.querySelector(".rnb-lane-time")?.textContent ?? null;
  expect(time()).toBe("1500 ms");
  labelled(element, "Show again").click();
  await vi.advanceTimersByTimeAsync(1400); // 400 ms before the end of the speech, and 1 s after it
  expect(time()).toMatch(/^(9[0-9]|10[0-9])0 ms$/);
  await vi.advanceTimersByTimeAsync(1500);
  expect(time()).toBe("1500 ms");
  expect(labelled(element, "Show again").disabled).toBe(false);
});

it("has nothing to start and no sound for saved runs", () => {
  const from = source();
  const element = race(scope, from);
  from.race.set(row({ state: "saved", lanes: [done("Chain", 1500, 2), done("Realtime", 400, 1)] }));
  expect(labelled(element, "Start")?.hidden ?? labelled(element, "Race again").hidden).toBe(true);
  expect([...element.querySelectorAll<HTMLElement>(".rnb-lane-buttons")].every(({ hidden }) => hidden)).toBe(true);
  expect(element.querySelector(".rnb-race-status")?.textContent).toBe("from saved runs");
});

it("tells news only of the same lanes", () => {
  expect(raceNews([lane("Chain")], [done("Realtime", 400, 1)])).toBe("");
  expect(raceNews([], [done("Realtime", 400, 1)])).toBe("");
  expect(raceNews([done("Realtime", 400, 1)], [done("Realtime", 400, 1)])).toBe("");
});

it("puts medians in a table with interval and n, and a dash where there is none", () => {
  const table: TableRow = {
    caption: "Measured",
    measured: true,
    rows: [
      { title: "Chain", n: 8, missing: 1, median_ms: 1932.4, low_ms: 1909, high_ms: 1954, p90_ms: 1957 },
      { title: "Chat", n: 0, missing: 3, median_ms: null, low_ms: null, high_ms: null, p90_ms: null },
    ],
    facts: ["chain ÷ realtime: 2.94 (95% interval 2.92 to 2.96, n = 8)"],
    provenance: "measured · n = 11 runs",
  };
  const element = raceTable(table);
  const cells = [...element.querySelectorAll("tbody tr")].map((each) => [...each.children].map(({ textContent }) => textContent));
  expect(cells).toEqual([
    ["Chain", "1932 ms", "1909 – 1954 ms", "1957 ms", "8", "1"],
    ["Chat", "—", "—", "—", "0", "3"],
  ]);
  expect(element.textContent).toContain("n = 8)");
  expect(element.querySelector("figcaption")?.textContent).toBe("measured · n = 11 runs");
});

class FakeSource extends EventTarget {
  buffer: { length: number; duration: number } | null = null;
  startedAt = -1;
  stopped = false;
  connect(): void {}
  disconnect(): void {}
  start(at: number): void {
    this.startedAt = at;
  }
  stop(): void {
    this.stopped = true;
  }
}

class FakeContext {
  static made: FakeContext[] = [];
  state = "running";
  currentTime = 1;
  sampleRate = 24_000;
  destination = {};
  closed = false;
  sources: FakeSource[] = [];
  gains: Array<{ gain: { value: number; setTargetAtTime(value: number): void }; context: FakeContext; connect(): void; disconnect(): void }> = [];
  constructor() {
    FakeContext.made.push(this);
  }
  createBuffer(_channels: number, length: number, rate: number): object {
    return { length, duration: length / rate, copyToChannel: (): void => {} };
  }
  createBufferSource(): FakeSource {
    const made = new FakeSource();
    this.sources.push(made);
    return made;
  }
  createGain(): FakeContext["gains"][number] {
    const gain = { value: 1, setTargetAtTime(value: number): void { this.value = value; } };
    const made = { gain, context: this as FakeContext, connect: (): void => {}, disconnect: (): void => {} };
    this.gains.push(made);
    return made;
  }
  close(): Promise<void> {
    this.closed = true;
    return Promise.resolve();
  }
}

function mixer(): LaneMixer {
  FakeContext.made = [];
  vi.stubGlobal("AudioContext", FakeContext);
  return new LaneMixer(scope);
}

const SECOND = new Int16Array(24_000);

it("plays each lane without gaps, and lets the first that answers be heard", () => {
  const sound = mixer();
  sound.push(11, SECOND); // its lane is not known yet
  expect(FakeContext.made).toHaveLength(0);
  sound.assign(new Map([[10, QUESTION], [11, 0], [12, 1]]));
  sound.push(10, SECOND);
  sound.push(11, SECOND);
  sound.push(12, SECOND);
  const { sources, gains } = FakeContext.made[0] as FakeContext;
  expect(sources.map(({ startedAt }) => startedAt)).toEqual([1.06, 1.06, 2.06, 1.06]);
  expect(gains.map(({ gain }) => gain.value)).toEqual([1, 1, 0]);
  expect([...sound.audible.value]).toEqual([0, QUESTION]);
  expect([...sound.recorded.value]).toEqual([0, 1]);
});

it("mutes, solos and replays a lane, and forgets all with the next race", () => {
  const sound = mixer();
  sound.assign(new Map([[1, QUESTION], [2, 0], [3, 1]]));
  for (const stream of [1, 2, 3]) sound.push(stream, SECOND);
  const first = FakeContext.made[0] as FakeContext;
  const values = (): number[] => first.gains.map(({ gain }) => gain.value);
  sound.solo(1);
  expect(values()).toEqual([1, 0, 1]);
  sound.mute(0, false);
  sound.mute(QUESTION, true);
  expect(values()).toEqual([0, 1, 1]);
  sound.replay(0);
  expect(first.sources.slice(0, 3).every(({ stopped }) => stopped)).toBe(true);
  expect(first.sources).toHaveLength(4);
  expect(values()).toEqual([0, 1, 0]);
  sound.replay(7);
  expect(first.sources).toHaveLength(4);
  sound.assign(new Map([[1, QUESTION], [2, 0], [3, 1]]));
  expect(sound.recorded.value.size).toBe(2); // the same race told again
  sound.assign(new Map([[4, QUESTION], [5, 0], [6, 1]]));
  expect(sound.recorded.value.size).toBe(0);
  expect(first.closed).toBe(true);
  sound.push(6, SECOND);
  expect([...sound.audible.value]).toEqual([0]); // the listener's choice stays
});

it("keeps sound for a replay while the browser holds it back, and a bounded amount of it", () => {
  const sound = mixer();
  sound.assign(new Map([[2, 0]]));
  const held = new FakeContext();
  held.state = "suspended";
  registry().playback = { context: held as unknown as AudioContext, users: 0 };
  for (let second = 0; second < 200; second += 1) sound.push(2, SECOND);
  expect(held.sources).toHaveLength(0);
  held.state = "running";
  sound.replay(0);
  expect(held.sources).toHaveLength(120);
});
