import { FRAME_SAMPLES, type FrameMessage } from "./capture_messages.ts";
import { floatToInt16, WIRE_RATE_HZ } from "./pcm.ts";
import { Resampler } from "./resample.ts";

const POOL_SIZE = 25;

/** Microphone at the context's rate in, 20 ms PCM16 frames at 24 kHz out; never writes its output, so nothing is heard. */
class CaptureProcessor extends AudioWorkletProcessor {
  #resampler: Resampler | null = sampleRate === WIRE_RATE_HZ ? null : new Resampler(sampleRate, WIRE_RATE_HZ);
  #resampled = new Float32Array(8192);
  #pool: ArrayBuffer[] = Array.from({ length: POOL_SIZE }, () => new ArrayBuffer(FRAME_SAMPLES * 2));
  #frame: Int16Array | null = null;
  #filled = 0;
  #frames = 0;
  #dropped = 0;
  #began = -1;
  #closed = false;

  constructor() {
    super();
    this.port.onmessage = ({ data }: MessageEvent<ArrayBuffer | "close">) => {
      if (data === "close") this.#closed = true;
      else if (this.#pool.length < POOL_SIZE) this.#pool.push(data);
    };
  }

  process(inputs: Float32Array[][]): boolean {
    const input = inputs[0]?.[0];
    if (this.#closed) return false;
    if (!input) return true;
    if (this.#began < 0) this.#began = currentTime;
    if (this.#resampler) {
      this.#append(this.#resampled, this.#resampler.process(input, this.#resampled), input.length);
    } else {
      this.#append(input, input.length, input.length);
    }
    return true;
  }

  #append(samples: Float32Array, count: number, quantum: number): void {
    for (let i = 0; i < count; i += 1) {
      this.#frame ??= this.#take();
      if (this.#frame) this.#frame[this.#filled] = floatToInt16(samples[i] as number);
      this.#filled += 1;
      if (this.#filled === FRAME_SAMPLES) this.#emit(quantum);
    }
  }

  /** A returned buffer; without one the frame is dropped and counted. */
  #take(): Int16Array | null {
    if (this.#filled > 0) return null;
    const buffer = this.#pool.pop();
    return buffer ? new Int16Array(buffer) : null;
  }

  #emit(quantum: number): void {
    const frame = this.#frame;
    this.#frame = null;
    this.#filled = 0;
    const at = this.#began + (this.#frames * FRAME_SAMPLES) / WIRE_RATE_HZ;
    this.#frames += 1;
    if (!frame) {
      this.#dropped += 1;
      return;
    }
    const message: FrameMessage = { frame, at, now: currentTime + quantum / sampleRate, dropped: this.#dropped };
    this.port.postMessage(message, [frame.buffer]);
  }
}

registerProcessor("realtime-nb-capture", CaptureProcessor);
