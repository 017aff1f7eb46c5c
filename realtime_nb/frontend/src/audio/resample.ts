const ZERO_CROSSINGS = 16;
const KAISER_BETA = 8;
const PASSBAND = 0.95;

function bessel0(x: number): number {
  let sum = 1;
  let term = 1;
  for (let k = 1; k < 40; k += 1) {
    term *= (x / (2 * k)) ** 2;
    sum += term;
  }
  return sum;
}

function gcd(a: number, b: number): number {
  return b === 0 ? a : gcd(b, a % b);
}

/**
 * Streaming polyphase FIR (windowed sinc, 16 zero crossings, Kaiser 8) from one sample rate to another.
 *
 * Output sample n belongs to input time n × from / to: the filter's delay is compensated, so the stream only lags by the
 * look-ahead of half a filter. Nothing is allocated in `process`.
 */
export class Resampler {
  readonly up: number;
  readonly down: number;
  #half: number;
  #phases: Float32Array[];
  #history: Float32Array;
  #filled: number;
  /** Input index of `#history[0]`; the first half filter is silence before the stream. */
  #origin: number;
  #outputs = 0;
  #inputs = 0;

  constructor(fromHz: number, toHz: number, maxBlock = 4096) {
    const divisor = gcd(fromHz, toHz);
    this.up = toHz / divisor;
    this.down = fromHz / divisor;
    const cutoff = Math.min(1, this.up / this.down) * PASSBAND;
    this.#half = Math.ceil(ZERO_CROSSINGS / cutoff);
    this.#phases = Array.from({ length: this.up }, (_, phase) => this.#taps(phase / this.up, cutoff));
    this.#history = new Float32Array(2 * this.#half + maxBlock + this.down + 8);
    this.#filled = this.#half;
    this.#origin = -this.#half;
  }

  #taps(fraction: number, cutoff: number): Float32Array {
    const half = this.#half;
    const taps = new Float32Array(2 * half);
    const norm = bessel0(KAISER_BETA);
    let sum = 0;
    for (let k = 0; k < taps.length; k += 1) {
      const t = k - (half - 1) - fraction;
      const x = Math.PI * cutoff * t;
      const sinc = Math.abs(x) < 1e-9 ? 1 : Math.sin(x) / x;
      const r = t / half;
      const window = Math.abs(r) >= 1 ? 0 : bessel0(KAISER_BETA * Math.sqrt(1 - r * r)) / norm;
      taps[k] = cutoff * sinc * window;
      sum += cutoff * sinc * window;
    }
    for (let k = 0; k < taps.length; k += 1) taps[k] = (taps[k] ?? 0) / sum;
    return taps;
  }

  /** Most samples that one `process` of `inputLength` can give. */
  capacity(inputLength: number): number {
    return Math.ceil((inputLength * this.up) / this.down) + 2;
  }

  /** Write what is ready into `output`; returns how many samples. `input` must not exceed `maxBlock`. */
  process(input: Float32Array, output: Float32Array): number {
    this.#history.set(input, this.#filled);
    this.#filled += input.length;
    this.#inputs += input.length;
    return this.#drain(output, Infinity);
  }

  /** The end of the stream: the rest, so that in all ceil(inputs × to / from) samples came out. */
  flush(output: Float32Array): number {
    this.#history.fill(0, this.#filled, this.#filled + this.#half);
    this.#filled += this.#half;
    return this.#drain(output, Math.ceil((this.#inputs * this.up) / this.down));
  }

  #drain(output: Float32Array, limit: number): number {
    const { up, down } = this;
    const half = this.#half;
    const history = this.#history;
    let written = 0;
    while (this.#outputs < limit) {
      const position = this.#outputs * down;
      const start = Math.floor(position / up) - (half - 1) - this.#origin;
      if (start + 2 * half > this.#filled) break;
      const taps = this.#phases[position % up] as Float32Array;
      let sum = 0;
      for (let k = 0; k < taps.length; k += 1) sum += (taps[k] as number) * (history[start + k] as number);
      output[written++] = sum;
      this.#outputs += 1;
    }
    const next = Math.floor((this.#outputs * down) / up) - (half - 1) - this.#origin;
    const drop = Math.max(0, Math.min(next, this.#filled));
    history.copyWithin(0, drop, this.#filled);
    this.#filled -= drop;
    this.#origin += drop;
    return written;
  }
}
