import { expect, it } from "vitest";
import { PlaybackLane, type StreamCount } from "../src/audio/playback_lane.ts";

const QUANTUM = 128;

function ramp(from: number, length: number): Int16Array {
  return Int16Array.from({ length }, (_, i) => (from + i) % 30_000 + 1);
}

function render(lane: PlaybackLane, quanta: number): number[] {
  const heard: number[] = [];
  for (let i = 0; i < quanta; i += 1) {
    const output = new Float32Array(QUANTUM);
    lane.render(output, 1);
    heard.push(...output.map((value) => Math.round(value * 32_768)));
  }
  return heard;
}

function counts(lane: PlaybackLane): StreamCount[] {
  const told: StreamCount[] = [];
  lane.report((count) => told.push({ ...count }));
  return told;
}

it("renders a stream exactly, across the ring's seam", () => {
  const lane = new PlaybackLane(300);
  const drained: number[] = [];
  lane.onDrained = ({ id, rendered }) => drained.push(id, rendered);
  lane.begin(1, 0);
  const heard: number[] = [];
  for (let part = 0; part < 5; part += 1) {
    lane.write(1, ramp(part * 200, 200));
    heard.push(...render(lane, 2).filter((sample) => sample !== 0));
  }
  lane.end(1);
  render(lane, 1);
  expect(heard).toEqual([...ramp(0, 1000)]);
  expect(drained).toEqual([1, 1000]);
  expect(lane.idle).toBe(true);
});

it("waits for the jitter buffer, and not once the stream has ended", () => {
  const lane = new PlaybackLane(1000);
  lane.begin(1, 200);
  lane.write(1, ramp(0, 199));
  expect(render(lane, 1).every((sample) => sample === 0)).toBe(true);
  expect(lane.buffered).toBe(199);
  lane.end(1);
  expect(render(lane, 2).filter((sample) => sample !== 0)).toHaveLength(199);
});

it("counts an underrun once per gap, is silent, and waits for the jitter buffer again", () => {
  const lane = new PlaybackLane(1000);
  lane.begin(1, 100);
  lane.write(1, ramp(0, 150));
  render(lane, 10);
  expect(counts(lane)).toMatchObject([{ id: 1, rendered: 150, underruns: 1, drained: false }]);
  lane.write(1, ramp(150, 50));
  expect(render(lane, 1).some((sample) => sample !== 0)).toBe(false);
  lane.write(1, ramp(200, 50));
  expect(render(lane, 1).filter((sample) => sample !== 0)).toHaveLength(100);
  expect(counts(lane)).toMatchObject([{ rendered: 250, underruns: 2 }]);
});

it("plays streams one after the other inside one quantum", () => {
  const lane = new PlaybackLane(1000);
  const drained: number[] = [];
  lane.onDrained = ({ id }) => drained.push(id);
  lane.begin(1, 0);
  lane.write(1, ramp(0, 50));
  lane.begin(2, 0);
  lane.write(2, ramp(100, 50));
  lane.end(2);
  expect(render(lane, 1).slice(0, 100)).toEqual([...ramp(0, 50), ...ramp(100, 50)]);
  expect(drained).toEqual([1, 2]);
});

it("tells the truth when flushed and keeps nothing", () => {
  const lane = new PlaybackLane(1000);
  lane.begin(1, 0);
  lane.write(1, ramp(0, 500));
  lane.begin(2, 0);
  lane.write(2, ramp(0, 100));
  render(lane, 2);
  const told: number[][] = [];
  lane.flush(({ id, rendered }) => told.push([id, rendered]));
  expect(told).toEqual([
    [1, 256],
    [2, 0],
  ]);
  expect(lane.buffered).toBe(0);
  expect(render(lane, 2).every((sample) => sample === 0)).toBe(true);
});

it("counts what does not fit and ignores data of a stream that is over", () => {
  const lane = new PlaybackLane(100);
  lane.begin(1, 0);
  lane.write(1, ramp(0, 150));
  expect(lane.overflowed).toBe(50);
  lane.begin(2, 0);
  lane.write(1, ramp(0, 10));
  expect(lane.buffered).toBe(100);
});

it("reuses its slots for ever", () => {
  const lane = new PlaybackLane(1000);
  for (let id = 1; id <= 500; id += 1) {
    expect(lane.begin(id, 0)).toBe(true);
    lane.write(id, ramp(0, 10));
    lane.end(id);
    render(lane, 1);
  }
  expect(lane.idle).toBe(true);
});
