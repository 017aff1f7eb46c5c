import { PeakAccumulator } from "./peak_track.ts";
import { floatToInt16, WIRE_RATE_HZ } from "./pcm.ts";
import type { Lane } from "./player_messages.ts";
import { Resampler } from "./resample.ts";

const RESAMPLE_BLOCK = 4096;
const MAX_QUEUED_SECONDS = 1200;

/** One stream of audio on its way to the worklet: a bounded queue at 24 kHz in, samples at the device's rate out. */
export class PlaybackStream {
  readonly id: number;
  readonly lane: Lane;
  readonly peaks = new PeakAccumulator();
  /** Samples received, on the 24 kHz timeline. */
  received = 0;
  /** Samples given to the worklet and rendered by it, at its rate. */
  fed = 0;
  renderedDevice = 0;
  underruns = 0;
  began = false;
  ended = false;
  endSent = false;
  drained = false;
  dropped = 0;

  #rateHz: number;
  #queue: Int16Array[] = [];
  #queued = 0;
  #resampler: Resampler | null;
  #scratch = new Float32Array(0);

  constructor(id: number, lane: Lane, rateHz: number) {
    this.id = id;
    this.lane = lane;
    this.#rateHz = rateHz;
    this.#resampler = rateHz === WIRE_RATE_HZ ? null : new Resampler(WIRE_RATE_HZ, rateHz, RESAMPLE_BLOCK);
    if (this.#resampler) this.#scratch = new Float32Array(this.#resampler.capacity(RESAMPLE_BLOCK + 64));
  }

  /** Samples rendered on the 24 kHz timeline, floored. */
  get rendered(): number {
    if (this.drained) return this.received;
    return Math.min(this.received, Math.floor((this.renderedDevice * WIRE_RATE_HZ) / this.#rateHz));
  }

  get empty(): boolean {
    return this.#queue.length === 0;
  }

  /** Queue samples; beyond twenty minutes they are dropped and counted. */
  push(samples: Int16Array): void {
    if (this.#queued > MAX_QUEUED_SECONDS * WIRE_RATE_HZ) {
      this.dropped += samples.length;
      return;
    }
    this.received += samples.length;
    this.peaks.push(samples);
    this.#queue.push(samples.slice());
    this.#queued += samples.length;
  }

  /** The next samples for the worklet, null when none wait. */
  take(): Int16Array | null {
    const samples = this.#queue.shift();
    if (!samples) return null;
    this.#queued -= samples.length;
    const output = this.#resampler ? this.#resample(this.#resampler, samples) : samples;
    this.fed += output.length;
    return output;
  }

  /** What the resampler still holds, once the stream has ended. */
  takeRest(): Int16Array | null {
    if (!this.#resampler) return null;
    const rest = this.#toInt16(this.#resampler.flush(this.#scratch));
    this.fed += rest.length;
    return rest.length > 0 ? rest : null;
  }

  clear(): void {
    this.#queue = [];
    this.#queued = 0;
  }

  #resample(resampler: Resampler, samples: Int16Array): Int16Array {
    const parts: Int16Array[] = [];
    for (let at = 0; at < samples.length; at += RESAMPLE_BLOCK) {
      const block = Float32Array.from(samples.subarray(at, at + RESAMPLE_BLOCK), (sample) => sample / 32768);
      parts.push(this.#toInt16(resampler.process(block, this.#scratch)));
    }
    if (parts.length === 1 && parts[0]) return parts[0];
    const joined = new Int16Array(parts.reduce((total, part) => total + part.length, 0));
    let at = 0;
    for (const part of parts) {
      joined.set(part, at);
      at += part.length;
    }
    return joined;
  }

  #toInt16(count: number): Int16Array {
    const output = new Int16Array(count);
    for (let i = 0; i < count; i += 1) output[i] = floatToInt16(this.#scratch[i] as number);
    return output;
  }
}
