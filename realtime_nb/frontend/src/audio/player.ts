import { registry } from "../core/audio_registry.ts";
import type { Scope } from "../core/scope.ts";
import { Emitter, Signal } from "../core/signal.ts";
import { ClockMap } from "./clock_map.ts";
import { PEAK_SAMPLES, SAMPLES_PER_MS } from "./pcm.ts";
import { acquirePlaybackContext, outputLatencyMs } from "./playback_context.ts";
import { PlaybackStream } from "./playback_stream.ts";
import { type FromWorklet, type Lane, LANES, type ToWorklet } from "./player_messages.ts";
import { type PlayerNode, playerNode } from "./player_node.ts";
import { recordTap, tellWorklet } from "./tap.ts";

/** Kept ahead in the worklet's ring of 60 s; the rest waits on the main thread. */
const AHEAD_SECONDS = 50;
const FLUSH_TIMEOUT_MS = 180;
const FLUSH_GRACE_MS = 60;
const FINISHED_STREAMS_KEPT = 64;

export interface Rendered {
  streamId: number;
  lane: Lane;
  renderedSamples: number;
  underruns: number;
  drained: boolean;
  timeMs: number;
  outputLatencyMs: number;
}

export interface RenderedPeaks {
  lane: Lane;
  startMs: number;
  peaks: Int8Array;
}

/** Plays the streams of the two lanes and says truthfully what was rendered of each, on the 24 kHz timeline. */
export class Player {
  readonly rendered = new Emitter<Rendered>();
  readonly peaks = new Emitter<RenderedPeaks>();
  /** The browser waits for a click before it lets sound out. */
  readonly blocked = new Signal(false);
  readonly playing = new Signal(false);
  readonly failure = new Signal("");

  #scope: Scope;
  /** Owns the output, which is opened when there is something to play. */
  #output: Scope;
  #context: AudioContext | null = null;
  #node: PlayerNode | null = null;
  #clock = new ClockMap();
  #queues: Record<Lane, PlaybackStream[]> = { assistant: [], user: [] };
  #streams = new Map<number, PlaybackStream>();
  #flushes = new Map<number, (counts: Map<number, number>) => void>();
  #nextToken = 1;
  #jitterMs = 60;

  constructor(scope: Scope) {
    this.#scope = scope;
    this.#output = scope.child();
  }

  set jitterMs(value: number) {
    this.#jitterMs = value;
  }

  /** Open the audio output early; in a click this also unlocks it. */
  prepare(): AudioContext | null {
    if (this.#context || this.#scope.disposed) return this.#context;
    try {
      const output = this.#output;
      const context = acquirePlaybackContext(output);
      this.#context = context;
      output.listen(context, "statechange", () => this.#checkBlocked());
      this.#open(context, output).catch((error: unknown) => {
        if (!output.disposed) this.failure.set(String(error));
      });
      return context;
    } catch (error) {
      this.failure.set(String(error));
      return null;
    }
  }

  /** Let the output go, and what was to be played; the next sound opens it anew. */
  release(): void {
    this.#output.dispose();
    this.#output = this.#scope.child();
    this.#context = this.#node = null;
    this.#streams.clear();
    for (const lane of LANES) this.#queues[lane] = [];
    this.#updatePlaying();
    this.#checkBlocked();
  }

  /** Call from a user's gesture. */
  unlock(): void {
    const context = this.prepare();
    if (context?.state === "suspended") void context.resume().then(() => this.#checkBlocked());
  }

  async #open(context: AudioContext, output: Scope): Promise<void> {
    const node = await playerNode(context);
    if (output.disposed) return;
    node.port.onmessage = ({ data }) => this.#receive(data);
    node.connect(context.destination);
    this.#node = node;
    output.add(() => {
      node.port.onmessage = null;
      node.port.postMessage({ type: "close" });
      node.disconnect();
    });
    tellWorklet(node);
    for (const lane of LANES) this.#feed(lane);
    this.#checkBlocked();
  }

  begin(streamId: number, lane: Lane): void {
    const context = this.prepare();
    if (!context || this.#streams.has(streamId)) return;
    if (this.#node) tellWorklet(this.#node);
    const previous = this.#queues[lane].at(-1);
    if (previous) previous.ended = true;
    const stream = new PlaybackStream(streamId, lane, context.sampleRate);
    this.#streams.set(streamId, stream);
    this.#forgetOld();
    this.#queues[lane].push(stream);
    this.#feed(lane);
    this.playing.set(true);
    this.#checkBlocked();
  }

  /** Samples of an unknown or flushed stream are ignored: they came too late. */
  push(streamId: number, samples: Int16Array): void {
    const stream = this.#streams.get(streamId);
    if (!stream || stream.ended) return;
    stream.push(samples);
    this.#feed(stream.lane);
  }

  end(streamId: number): void {
    const stream = this.#streams.get(streamId);
    if (!stream) return;
    stream.ended = true;
    this.#feed(stream.lane);
  }

  /** Samples rendered of every stream of a lane that is still remembered, also of those that are through. */
  counts(lane: Lane): Map<number, number> {
    const known = [...this.#streams.values()].filter((stream) => stream.lane === lane);
    return new Map(known.map((stream) => [stream.id, stream.rendered]));
  }

  /** Silence a lane at once; gives stream_id → samples rendered of every stream that was not through. */
  flush(lane: Lane): Promise<Map<number, number>> {
    const token = this.#nextToken++;
    const streams = this.#queues[lane];
    this.#queues[lane] = [];
    for (const stream of streams) {
      stream.clear();
      stream.ended = true;
      stream.endSent = true;
    }
    return new Promise((resolve) => {
      const giveUp = (): void => finish(new Map());
      // The second wait lets an answer through that came while the page was too busy to take it.
      let cancel = this.#scope.timeout(() => {
        cancel = this.#scope.timeout(giveUp, FLUSH_GRACE_MS);
      }, FLUSH_TIMEOUT_MS);
      const finish = (counts: Map<number, number>): void => {
        cancel();
        this.#flushes.delete(token);
        for (const stream of streams) {
          stream.renderedDevice = Math.max(stream.renderedDevice, counts.get(stream.id) ?? 0);
        }
        this.#updatePlaying();
        resolve(new Map(streams.map((stream) => [stream.id, stream.rendered])));
      };
      if (!this.#node) return finish(new Map());
      this.#flushes.set(token, finish);
      this.#post({ type: "flush", lane, token, now: this.#context?.state !== "running" });
    });
  }

  #feed(lane: Lane): void {
    if (!this.#node || !this.#context) return;
    const aheadLimit = AHEAD_SECONDS * this.#context.sampleRate;
    let ahead = 0;
    for (const stream of this.#queues[lane]) {
      if (!stream.began) {
        stream.began = true;
        const jitter = Math.round((this.#jitterMs / 1000) * this.#context.sampleRate);
        this.#post({ type: "begin", lane, id: stream.id, jitter });
      }
      ahead += stream.fed - stream.renderedDevice;
      while (!stream.empty && ahead < aheadLimit) ahead += this.#give(stream, stream.take());
      if (!stream.empty || !stream.ended) return;
      if (!stream.endSent) {
        stream.endSent = true;
        ahead += this.#give(stream, stream.takeRest());
        this.#post({ type: "end", lane, id: stream.id });
      }
    }
  }

  #give(stream: PlaybackStream, samples: Int16Array | null): number {
    if (!samples) return 0;
    const length = samples.length;
    this.#node?.port.postMessage({ type: "data", lane: stream.lane, id: stream.id, samples }, [samples.buffer]);
    return length;
  }

  #receive(message: FromWorklet): void {
    if (message.type === "tap") recordTap(message.samples, this.#context?.sampleRate ?? 0);
    else if (message.type === "counts") this.#onCounts(message);
    else {
      for (const count of message.counts) this.#onCounts({ ...count, at: message.at, drained: false });
      this.#flushes.get(message.token)?.(new Map(message.counts.map(({ id, rendered }) => [id, rendered])));
    }
  }

  #onCounts(count: { id: number; at: number; rendered: number; underruns: number; drained: boolean }): void {
    const stream = this.#streams.get(count.id);
    if (!stream) return;
    const before = stream.rendered;
    stream.renderedDevice = count.rendered;
    stream.underruns = count.underruns;
    stream.drained = count.drained && stream.ended;
    const timeMs = this.#clock.toPerformanceMs(count.at);
    const { probe } = registry();
    probe.rendered[stream.id] = stream.rendered;
    probe.underruns[stream.id] = stream.underruns;
    this.#emitPeaks(stream, before, timeMs);
    this.rendered.emit({
      streamId: stream.id,
      lane: stream.lane,
      renderedSamples: stream.rendered,
      underruns: stream.underruns,
      drained: stream.drained,
      timeMs,
      outputLatencyMs: this.#context ? outputLatencyMs(this.#context) : 0,
    });
    if (stream.drained) {
      this.#queues[stream.lane] = this.#queues[stream.lane].filter((other) => other !== stream);
      this.#updatePlaying();
    }
    this.#feed(stream.lane);
  }

  #emitPeaks(stream: PlaybackStream, before: number, timeMs: number): void {
    const peaks = stream.peaks.between(before, stream.rendered);
    const firstSample = Math.floor(before / PEAK_SAMPLES) * PEAK_SAMPLES;
    const startMs = timeMs - (stream.rendered - firstSample) / SAMPLES_PER_MS;
    if (peaks.length > 0) this.peaks.emit({ lane: stream.lane, startMs, peaks });
  }

  #updatePlaying(): void {
    this.playing.set(LANES.some((lane) => this.#queues[lane].length > 0));
  }

  #checkBlocked(): void {
    this.blocked.set(this.#context?.state === "suspended" && !this.#scope.disposed);
  }

  #forgetOld(): void {
    for (const [id, stream] of this.#streams) {
      if (this.#streams.size <= FINISHED_STREAMS_KEPT) return;
      if (!this.#queues[stream.lane].includes(stream)) this.#streams.delete(id);
    }
  }

  #post(message: ToWorklet): void {
    this.#node?.port.postMessage(message);
  }
}
