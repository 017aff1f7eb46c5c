import { PlaybackLane, type StreamCount } from "./playback_lane.ts";
import { type FromWorklet, type Lane, LANES, type ToWorklet } from "./player_messages.ts";

const RING_SECONDS = 60;
const REPORT_SECONDS = 0.04;
const TAP_SAMPLES = 2048;
const GAIN: Record<Lane, number> = { assistant: 1, user: 0.5 };

class PlayerProcessor extends AudioWorkletProcessor {
  #lanes: Record<Lane, PlaybackLane>;
  #mono = new Float32Array(128);
  #flushing: Record<Lane, number | null> = { assistant: null, user: null };
  #sinceReport = 0;
  #reportEvery = Math.round(REPORT_SECONDS * sampleRate);
  #tap: Float32Array | null = null;
  #tapped = 0;
  #closed = false;
  #at = 0;
  /** Reused for every report: posting clones it. */
  #counts = { type: "counts", lane: "assistant" as Lane, at: 0, id: 0, rendered: 0, underruns: 0, drained: false };
  #telling: Record<Lane, (count: StreamCount) => void>;

  constructor() {
    super();
    const capacity = Math.round(RING_SECONDS * sampleRate);
    this.#lanes = { assistant: new PlaybackLane(capacity), user: new PlaybackLane(capacity) };
    this.#telling = {
      assistant: (count) => this.#tell("assistant", count),
      user: (count) => this.#tell("user", count),
    };
    for (const lane of LANES) this.#lanes[lane].onDrained = this.#telling[lane];
    this.port.onmessage = ({ data }: MessageEvent<ToWorklet>) => this.#receive(data);
  }

  #receive(message: ToWorklet): void {
    switch (message.type) {
      case "begin":
        this.#lanes[message.lane].begin(message.id, message.jitter);
        break;
      case "data":
        this.#lanes[message.lane].write(message.id, message.samples);
        break;
      case "end":
        this.#lanes[message.lane].end(message.id);
        break;
      case "flush":
        if (message.now || this.#lanes[message.lane].idle) this.#flush(message.lane, message.token);
        else this.#flushing[message.lane] = message.token;
        break;
      case "tap":
        this.#tap = message.on ? (this.#tap ?? new Float32Array(TAP_SAMPLES)) : null;
        break;
      case "close":
        this.#closed = true;
    }
  }

  process(_inputs: Float32Array[][], outputs: Float32Array[][]): boolean {
    const channels = outputs[0];
    const first = channels?.[0];
    if (!channels || !first || this.#closed) return !this.#closed;
    if (first.length !== this.#mono.length) this.#mono = new Float32Array(first.length);
    this.#at = currentTime + first.length / sampleRate;
    for (const lane of LANES) {
      this.#render(lane);
      for (let i = 0; i < first.length; i += 1) first[i] = (first[i] as number) + (this.#mono[i] as number);
    }
    for (let channel = 1; channel < channels.length; channel += 1) channels[channel]?.set(first);
    this.#sinceReport += first.length;
    if (this.#sinceReport >= this.#reportEvery) this.#report();
    return true;
  }

  /** The lane's next quantum into `#mono`; a lane being flushed fades out over it and is then empty. */
  #render(lane: Lane): void {
    this.#mono.fill(0);
    this.#lanes[lane].render(this.#mono, GAIN[lane]);
    const token = this.#flushing[lane];
    if (token !== null) {
      for (let i = 0; i < this.#mono.length; i += 1) {
        this.#mono[i] = (this.#mono[i] as number) * (1 - i / this.#mono.length);
      }
      this.#flushing[lane] = null;
      this.#flush(lane, token);
    }
    if (lane === "assistant" && this.#tap) this.#keep(this.#tap);
  }

  #keep(tap: Float32Array): void {
    tap.set(this.#mono, this.#tapped);
    this.#tapped += this.#mono.length;
    if (this.#tapped < tap.length) return;
    this.#tapped = 0;
    this.#post({ type: "tap", samples: tap });
  }

  #flush(lane: Lane, token: number): void {
    const counts: Array<{ id: number; rendered: number; underruns: number }> = [];
    this.#lanes[lane].flush(({ id, rendered, underruns }) => counts.push({ id, rendered, underruns }));
    this.#post({ type: "flushed", token, at: this.#at, counts });
  }

  #report(): void {
    this.#sinceReport = 0;
    for (const lane of LANES) this.#lanes[lane].report(this.#telling[lane]);
  }

  #tell(lane: Lane, count: StreamCount): void {
    const counts = this.#counts;
    counts.lane = lane;
    counts.at = this.#at;
    counts.id = count.id;
    counts.rendered = count.rendered;
    counts.underruns = count.underruns;
    counts.drained = count.drained;
    this.port.postMessage(counts);
  }

  #post(message: FromWorklet): void {
    this.port.postMessage(message);
  }
}

registerProcessor("realtime-nb-player", PlayerProcessor);
