import { describe, expect, it } from "vitest";
import { Resampler } from "../src/audio/resample.ts";

function tone(hz: number, rateHz: number, samples: number): Float32Array {
  return Float32Array.from({ length: samples }, (_, i) => 0.5 * Math.sin((2 * Math.PI * hz * i) / rateHz));
}

function convert(input: Float32Array, fromHz: number, toHz: number, block: number): Float32Array {
  const resampler = new Resampler(fromHz, toHz, Math.max(block, 128));
  const scratch = new Float32Array(resampler.capacity(Math.max(block, 128)) + 1024);
  const output: number[] = [];
  for (let at = 0; at < input.length; at += block) {
    const count = resampler.process(input.subarray(at, at + block), scratch);
    output.push(...scratch.subarray(0, count));
  }
  output.push(...scratch.subarray(0, resampler.flush(scratch)));
  return Float32Array.from(output);
}

/** Share of the energy that a sine of `hz` explains. */
function purity(signal: Float32Array, hz: number, rateHz: number): number {
  let sine = 0;
  let cosine = 0;
  let energy = 0;
  signal.forEach((value, i) => {
    sine += value * Math.sin((2 * Math.PI * hz * i) / rateHz);
    cosine += value * Math.cos((2 * Math.PI * hz * i) / rateHz);
    energy += value * value;
  });
  return (2 * (sine * sine + cosine * cosine)) / (signal.length * energy);
}

describe.each([44_100, 48_000, 16_000, 96_000, 8_000])("from %i Hz to 24 kHz", (rateHz) => {
  it("keeps the length and a tone's pitch, level and phase", () => {
    const output = convert(tone(1000, rateHz, rateHz), rateHz, 24_000, 128);
    expect(output.length).toBe(24_000);
    const middle = output.subarray(1200, 22_800);
    expect(purity(middle, 1000, 24_000)).toBeGreaterThan(0.99999);
    const expected = tone(1000, 24_000, 24_000).subarray(1200, 22_800);
    const worst = Math.max(...middle.map((value, i) => Math.abs(value - (expected[i] as number))));
    expect(worst).toBeLessThan(0.002);
  });

  it("gives the same samples whatever the blocks", () => {
    const input = tone(440, rateHz, 5000);
    expect(convert(input, rateHz, 24_000, 128)).toEqual(convert(input, rateHz, 24_000, 333));
  });
});

it("does not let a tone above the new Nyquist frequency fold back", () => {
  const output = convert(tone(15_000, 48_000, 48_000), 48_000, 24_000, 128);
  const worst = Math.max(...output.subarray(500, 23_500).map(Math.abs));
  expect(worst).toBeLessThan(0.001);
});

it("goes up without images", () => {
  const output = convert(tone(3000, 24_000, 24_000), 24_000, 48_000, 512);
  expect(output.length).toBe(48_000);
  expect(purity(output.subarray(2000, 46_000), 3000, 48_000)).toBeGreaterThan(0.99999);
});
