import { expect, it } from "vitest";
import { ClockMap } from "../src/audio/clock_map.ts";
import { microphoneFailure } from "../src/audio/microphone_error.ts";
import { bytesToInt16, floatToInt16, peaksOf } from "../src/audio/pcm.ts";
import { PeakAccumulator, PeakTrack } from "../src/audio/peak_track.ts";
import { PlaybackStream } from "../src/audio/playback_stream.ts";
import { decodeBinary, encodeBinary } from "../src/core/binary.ts";

it("packs the binary header as Python's <BBHIId", () => {
  const buffer = encodeBinary({ kind: 1, streamId: 2, sequence: 3, timeClientMs: 4.5, payload: Uint8Array.of(9, 8) });
  const expected = [1, 0, 0, 0, 2, 0, 0, 0, 3, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x12, 0x40, 9, 8];
  expect([...new Uint8Array(buffer)]).toEqual(expected);
  const shifted = new Uint8Array([0, 0, 0, ...expected]).subarray(3);
  expect(decodeBinary(shifted)).toMatchObject({ kind: 1, streamId: 2, sequence: 3, timeClientMs: 4.5 });
  expect([...(decodeBinary(shifted)?.payload ?? [])]).toEqual([9, 8]);
  expect(decodeBinary(new ArrayBuffer(19))).toBeNull();
});

it("clamps, reads unaligned bytes and drops an odd one", () => {
  expect([floatToInt16(2), floatToInt16(-2), floatToInt16(0.5)]).toEqual([32_767, -32_768, 16_384]);
  const bytes = Uint8Array.of(0xff, 1, 0, 2, 0, 7).subarray(1);
  expect([...bytesToInt16(bytes)]).toEqual([1, 2]);
});

it("gives the same peaks whole and in pieces", () => {
  const samples = Int16Array.from({ length: 960 }, (_, i) => (i % 2 ? 1 : -1) * i * 30);
  const pieces = new PeakAccumulator();
  for (let at = 0; at < samples.length; at += 77) pieces.push(samples.subarray(at, at + 77));
  expect(pieces.between(0, 960)).toEqual(peaksOf(samples));
  expect(pieces.between(0, 479)).toHaveLength(2);
});

it("keeps the newest peaks of a track and forgets what the ring overwrote", () => {
  const track = new PeakTrack(1);
  track.add(1000, Int8Array.of(-5, 5, -6, 6));
  track.add(1010, Int8Array.of(-1, 9));
  const seen: number[][] = [];
  track.each(0, 5000, (timeMs, low, high) => seen.push([timeMs, low, high]));
  expect(seen).toEqual([
    [1000, -5, 5],
    [1010, -6, 9],
  ]);
  track.add(2000, Int8Array.of(-2, 2));
  seen.length = 0;
  track.each(0, 5000, (timeMs) => seen.push([timeMs]));
  expect(seen).toEqual([[1010], [2000]]);
});

it("maps context time by the smallest delay seen", () => {
  const clock = new ClockMap();
  clock.toPerformanceMs(1, 1500);
  clock.toPerformanceMs(2, 2400);
  expect(clock.toPerformanceMs(3, 3450)).toBeCloseTo(3400, 1);
});

it("says for each failure of the microphone what happened and what still works", () => {
  for (const name of ["NotAllowedError", "NotFoundError", "NotReadableError", "SomethingNew"]) {
    const failure = microphoneFailure(new DOMException("why", name));
    expect(failure.name).toBe(name);
    expect(failure.message.length).toBeGreaterThan(10);
    expect(failure.whatNow).toContain("without a microphone");
  }
});

it("counts rendered samples on the 24 kHz timeline when the device runs at 48 kHz", () => {
  const stream = new PlaybackStream(1, "assistant", 48_000);
  stream.push(new Int16Array(10_000).fill(1000));
  let device = stream.take()?.length ?? 0;
  device += stream.takeRest()?.length ?? 0;
  expect(device).toBe(20_000);
  stream.renderedDevice = 9_999;
  expect(stream.rendered).toBe(4_999);
  stream.drained = true;
  expect(stream.rendered).toBe(10_000);
});
