import { Scope } from "../core/scope.ts";
import { Signal } from "../core/signal.ts";
import { acquirePlaybackContext } from "./playback_context.ts";

/** Plays one short piece of PCM at a time, beside the conversation. */
export class ClipPlayer {
  readonly playing = new Signal(false);
  /** Seconds into the piece, or null when nothing plays. */
  #began: { context: AudioContext; atSeconds: number } | null = null;
  #scope: Scope;
  #take: Scope | null = null;

  constructor(scope: Scope) {
    this.#scope = scope;
  }

  get positionMs(): number | null {
    if (!this.#began) return null;
    return Math.max(0, (this.#began.context.currentTime - this.#began.atSeconds) * 1000);
  }

  async play(samples: Int16Array, rateHz: number): Promise<void> {
    this.stop();
    const take = this.#scope.child();
    this.#take = take;
    const context = acquirePlaybackContext(take);
    if (context.state === "suspended") await context.resume();
    if (take.disposed || samples.length === 0) return;
    const buffer = context.createBuffer(1, samples.length, rateHz);
    buffer.copyToChannel(Float32Array.from(samples, (sample) => sample / 32768), 0);
    const source = context.createBufferSource();
    source.buffer = buffer;
    source.connect(context.destination);
    take.listen(source, "ended", () => this.stop());
    take.add(() => {
      source.stop();
      source.disconnect();
    });
    source.start();
    this.#began = { context, atSeconds: context.currentTime };
    take.add(() => {
      this.#began = null;
      this.playing.set(false);
    });
    this.playing.set(true);
  }

  stop(): void {
    this.#take?.dispose();
    this.#take = null;
  }
}
