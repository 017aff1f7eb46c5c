import { PEAK_SAMPLES, SAMPLES_PER_MS } from "./pcm.ts";

export const PEAK_MS = PEAK_SAMPLES / SAMPLES_PER_MS;

/** The last seconds of one lane as min/max per 10 ms of page time; a ring indexed by time, allocated once. */
export class PeakTrack {
  readonly size: number;
  #low: Int8Array;
  #high: Int8Array;
  #bucket: Float64Array;
  lastMs = -Infinity;

  constructor(seconds: number) {
    this.size = Math.ceil((seconds * 1000) / PEAK_MS);
    this.#low = new Int8Array(this.size);
    this.#high = new Int8Array(this.size);
    this.#bucket = new Float64Array(this.size).fill(-1);
  }

  /** `peaks` are int8 pairs, the first one beginning at `startMs`. */
  add(startMs: number, peaks: Int8Array): void {
    const first = Math.round(startMs / PEAK_MS);
    for (let i = 0; i * 2 + 1 < peaks.length; i += 1) {
      const bucket = first + i;
      const slot = ((bucket % this.size) + this.size) % this.size;
      const fresh = this.#bucket[slot] !== bucket;
      const low = peaks[2 * i] as number;
      const high = peaks[2 * i + 1] as number;
      this.#bucket[slot] = bucket;
      this.#low[slot] = fresh ? low : Math.min(low, this.#low[slot] as number);
      this.#high[slot] = fresh ? high : Math.max(high, this.#high[slot] as number);
    }
    this.lastMs = Math.max(this.lastMs, (first + peaks.length / 2) * PEAK_MS);
  }

  /** Calls `draw(bucketIndex, low, high)` for every known bucket of the span. */
  each(fromMs: number, toMs: number, draw: (timeMs: number, low: number, high: number) => void): void {
    const last = Math.floor(toMs / PEAK_MS);
    for (let bucket = Math.max(0, Math.floor(fromMs / PEAK_MS)); bucket <= last; bucket += 1) {
      const slot = bucket % this.size;
      if (this.#bucket[slot] === bucket) {
        draw(bucket * PEAK_MS, this.#low[slot] as number, this.#high[slot] as number);
      }
    }
  }
}

/** Peaks of a stream as its samples come in, whatever the sizes of its chunks. */
export class PeakAccumulator {
  #peaks = new Int8Array(256);
  #blocks = 0;
  #low = 0;
  #high = 0;
  #filled = 0;

  push(samples: Int16Array): void {
    for (const sample of samples) {
      if (sample < this.#low) this.#low = sample;
      if (sample > this.#high) this.#high = sample;
      this.#filled += 1;
      if (this.#filled === PEAK_SAMPLES) this.#close();
    }
  }

  #close(): void {
    if (this.#blocks * 2 === this.#peaks.length) {
      const grown = new Int8Array(this.#peaks.length * 2);
      grown.set(this.#peaks);
      this.#peaks = grown;
    }
    this.#peaks[this.#blocks * 2] = this.#low >> 8;
    this.#peaks[this.#blocks * 2 + 1] = this.#high >> 8;
    this.#blocks += 1;
    this.#low = 0;
    this.#high = 0;
    this.#filled = 0;
  }

  /** Whole blocks among the samples from `from` to `to`. */
  between(from: number, to: number): Int8Array {
    const end = Math.min(this.#blocks, Math.floor(to / PEAK_SAMPLES));
    const start = Math.min(end, Math.floor(from / PEAK_SAMPLES));
    return this.#peaks.subarray(start * 2, end * 2);
  }
}
