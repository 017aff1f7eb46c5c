import { Microphone } from "../audio/microphone.ts";
import { bytesToInt16, peaksOf } from "../audio/pcm.ts";
import { Player } from "../audio/player.ts";
import { type Lane, LANES } from "../audio/player_messages.ts";
import { PeakTrack } from "../audio/peak_track.ts";
import { registry } from "../core/audio_registry.ts";
import type { Link } from "../core/link.ts";
import { KIND_PLAYBACK, type ToBrowser } from "../core/messages.gen.ts";
import type { Scope } from "../core/scope.ts";
import { Emitter } from "../core/signal.ts";

const TRACK_SECONDS = 30;
const JITTER_MS = { direct: 60, proxy: 60, comm: 150 };

/** Sound in and out of one model: what the link brings is played, what was rendered is said, peaks are kept. */
export class Media {
  readonly player: Player;
  readonly microphone: Microphone;
  readonly tracks: Record<Lane, PeakTrack> = { assistant: new PeakTrack(TRACK_SECONDS), user: new PeakTrack(TRACK_SECONDS) };
  /** Something moved on a track. */
  readonly moved = new Emitter<void>();
  #link: Link;
  #open = new Set<number>();

  constructor(link: Link, scope: Scope) {
    this.#link = link;
    this.player = new Player(scope);
    this.microphone = new Microphone(link, scope);
    link.messages.subscribe(scope, (message) => this.#receive(message));
    link.binaries.subscribe(scope, ({ kind, streamId, payload }) => {
      if (kind === KIND_PLAYBACK) this.player.push(streamId, bytesToInt16(payload));
    });
    link.status.subscribe(scope, ({ phase, transport }) => this.#onLink(phase, transport));
    this.player.rendered.subscribe(scope, (rendered) => {
      link.send({
        type: "playback_rendered",
        stream_id: rendered.streamId,
        rendered_samples: rendered.renderedSamples,
        underruns: rendered.underruns,
        time_client_ms: rendered.timeMs,
        drained: rendered.drained,
        output_latency_ms: rendered.outputLatencyMs,
      });
    });
    this.player.peaks.subscribe(scope, ({ lane, startMs, peaks }) => {
      this.tracks[lane].add(startMs, peaks);
      this.moved.emit();
    });
    this.microphone.frames.subscribe(scope, ({ frame, timeMs }) => {
      this.tracks.user.add(timeMs, peaksOf(frame));
      this.moved.emit();
    });
  }

  /** Silence both lanes now and tell the kernel what was heard; resolves when the kernel has been told. */
  async flushAll(): Promise<void> {
    if (!this.player.playing.value) return;
    const counts = await Promise.all(LANES.map((lane) => this.player.flush(lane)));
    this.#sayFlushed(0, new Map(counts.flatMap((lane) => [...lane])));
  }

  #receive(message: ToBrowser): void {
    switch (message.type) {
      case "playback_begin":
        this.#open.add(message.stream_id);
        this.player.begin(message.stream_id, message.lane);
        break;
      case "playback_end":
        this.#open.delete(message.stream_id);
        this.player.end(message.stream_id);
        break;
      case "playback_flush":
        void this.#answerFlush(message.flush_id, message.lane);
        break;
      case "microphone_control":
        this.microphone.muted = message.muted;
        if (message.open) void this.microphone.open();
        else this.microphone.close();
        break;
      case "ready":
      case "active":
        if (!message.active) this.#yield();
    }
  }

  /** The kernel asks also to learn what played on while the link was down, so streams that are through are told too. */
  async #answerFlush(flushId: number, lane: Lane): Promise<void> {
    await this.player.flush(lane);
    this.#sayFlushed(flushId, this.player.counts(lane));
  }

  /** Another view carries the audio now. */
  #yield(): void {
    this.microphone.close();
    void this.flushAll();
  }

  #onLink(phase: string, transport: keyof typeof JITTER_MS | null): void {
    registry().probe.transport = transport ?? "";
    if (transport) this.player.jitterMs = JITTER_MS[transport];
    if (phase === "open") return;
    for (const streamId of this.#open) this.player.end(streamId);
    this.#open.clear();
  }

  #sayFlushed(flushId: number, counts: Map<number, number>): void {
    for (const streamId of counts.keys()) this.#open.delete(streamId);
    this.#link.send({
      type: "playback_flushed",
      flush_id: flushId,
      rendered: Object.fromEntries(counts),
      time_client_ms: performance.now(),
    });
  }
}
