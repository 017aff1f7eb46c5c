import { Scope } from "../core/scope.ts";
import { Signal } from "../core/signal.ts";
import { WIRE_RATE_HZ } from "./pcm.ts";
import { acquirePlaybackContext } from "./playback_context.ts";

/** The question's lane. */
export const QUESTION = -1;
const START_SECONDS = 0.06;
const FADE_SECONDS = 0.015;
const MAX_LANE_SAMPLES = 120 * WIRE_RATE_HZ;
const MAX_EARLY_CHUNKS = 256;

interface Sound {
  chunks: Int16Array[];
  length: number;
  gain: GainNode | null;
  nextAt: number;
  sources: Set<AudioBufferSourceNode>;
}

/**
 * Plays several answers as they stream in, each on a lane of its own that can be muted without a round trip. What was
 * played is kept for a replay. Nothing is measured here.
 */
export class LaneMixer {
  /** Lanes that are heard. */
  readonly audible = new Signal<ReadonlySet<number>>(new Set([QUESTION]));
  /** Lanes that have sound to replay. */
  readonly recorded = new Signal<ReadonlySet<number>>(new Set());
  /** Until the listener chooses, the first lane that answers is heard. */
  #chosen = false;
  #scope: Scope;
  #take: Scope;
  #context: AudioContext | null = null;
  #lanes = new Map<number, Sound>();
  #streams = new Map<number, number>();
  #early: Array<[streamId: number, samples: Int16Array]> = [];

  constructor(scope: Scope) {
    this.#scope = scope;
    this.#take = scope.child();
  }

  /** Which stream plays on which lane; streams that are new silence and forget the former race. */
  assign(streams: Map<number, number>): void {
    if ([...streams.keys()].every((id) => this.#streams.has(id))) return;
    this.#reset();
    this.#streams = streams;
    const early = this.#early;
    this.#early = [];
    for (const [streamId, samples] of early) this.push(streamId, samples);
  }

  push(streamId: number, samples: Int16Array): void {
    const lane = this.#streams.get(streamId);
    if (lane === undefined) {
      if (this.#early.length < MAX_EARLY_CHUNKS) this.#early.push([streamId, samples]);
      return;
    }
    const sound = this.#sound(lane);
    if (sound.length + samples.length > MAX_LANE_SAMPLES || samples.length === 0) return;
    if (sound.length === 0 && lane !== QUESTION) {
      if (!this.#chosen && ![...this.audible.value].some((each) => each !== QUESTION)) this.#hear([lane]);
      this.recorded.set(new Set([...this.recorded.value, lane]));
    }
    sound.chunks.push(samples.slice());
    sound.length += samples.length;
    this.#schedule(lane, sound, samples);
  }

  mute(lane: number, muted: boolean): void {
    if (lane !== QUESTION) this.#chosen = true;
    const others = [...this.audible.value].filter((each) => each !== lane);
    this.audible.set(new Set(muted ? others : [...others, lane]));
    this.#applyGains();
  }

  /** This lane and no other. */
  solo(lane: number): void {
    this.#chosen = true;
    this.#hear([lane]);
  }

  /** Play a lane's answer again from the beginning, alone. */
  replay(lane: number): void {
    const sound = this.#lanes.get(lane);
    if (!sound) return;
    this.silence();
    this.solo(lane);
    for (const chunk of sound.chunks) this.#schedule(lane, sound, chunk);
  }

  /** Stop what sounds; it can be replayed. */
  silence(): void {
    for (const sound of this.#lanes.values()) {
      for (const source of [...sound.sources]) source.stop();
      sound.sources.clear();
      sound.nextAt = 0;
    }
  }

  #hear(lanes: number[]): void {
    const question = this.audible.value.has(QUESTION) ? [QUESTION] : [];
    this.audible.set(new Set([...lanes, ...question]));
    this.#applyGains();
  }

  #reset(): void {
    this.silence();
    this.#take.dispose();
    this.#take = this.#scope.child();
    this.#context = null;
    this.#lanes.clear();
    this.recorded.set(new Set());
    if (!this.#chosen) this.#hear([]);
  }

  #sound(lane: number): Sound {
    let sound = this.#lanes.get(lane);
    if (!sound) {
      sound = { chunks: [], length: 0, gain: null, nextAt: 0, sources: new Set() };
      this.#lanes.set(lane, sound);
    }
    return sound;
  }

  #open(): AudioContext | null {
    if (!this.#context && typeof AudioContext !== "undefined" && !this.#take.disposed) {
      this.#context = acquirePlaybackContext(this.#take);
    }
    return this.#context;
  }

  /** Without a running output (no gesture yet) a chunk is only kept. */
  #schedule(lane: number, sound: Sound, samples: Int16Array): void {
    const context = this.#open();
    if (!context || context.state !== "running") return;
    const gain = (sound.gain ??= this.#gain(context, lane));
    const buffer = context.createBuffer(1, samples.length, WIRE_RATE_HZ);
    buffer.copyToChannel(Float32Array.from(samples, (sample) => sample / 32768), 0);
    const source = context.createBufferSource();
    source.buffer = buffer;
    source.connect(gain);
    sound.sources.add(source);
    this.#take.listen(source, "ended", () => sound.sources.delete(source), { once: true });
    sound.nextAt = Math.max(sound.nextAt, context.currentTime + START_SECONDS);
    source.start(sound.nextAt);
    sound.nextAt += buffer.duration;
  }

  #gain(context: AudioContext, lane: number): GainNode {
    const gain = context.createGain();
    gain.gain.value = this.audible.value.has(lane) ? 1 : 0;
    gain.connect(context.destination);
    this.#take.add(() => gain.disconnect());
    return gain;
  }

  #applyGains(): void {
    for (const [lane, { gain }] of this.#lanes) {
      const wanted = this.audible.value.has(lane) ? 1 : 0;
      if (gain) gain.gain.setTargetAtTime(wanted, gain.context.currentTime, FADE_SECONDS);
    }
  }
}
