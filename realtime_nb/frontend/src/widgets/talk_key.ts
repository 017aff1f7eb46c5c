import type { Scope } from "../core/scope.ts";
import { Signal } from "../core/signal.ts";
import type { Media } from "./media.ts";

export type TalkPhase = "idle" | "opening" | "talking" | "ending";

/** Sound captured just before the release is still on its way; the end waits for it. */
const TAIL_MS = 60;

/** Push-to-talk: silence the reply, open the microphone, say so to the kernel, let frames flow until release. */
export class TalkKey {
  readonly phase = new Signal<TalkPhase>("idle");
  #media: Media;
  #tell: (name: "talk_start" | "talk_end") => void;
  #scope: Scope;
  /** Counts presses, so that a slow opening cannot be taken for the next press's. */
  #press = 0;

  constructor(media: Media, tell: (name: "talk_start" | "talk_end") => void, scope: Scope) {
    this.#media = media;
    this.#tell = tell;
    this.#scope = scope;
    media.microphone.phase.subscribe(scope, (phase) => {
      if (phase === "closed" && this.phase.value === "talking") this.#finish();
    });
  }

  press(): void {
    if (this.phase.value !== "idle" || this.#media.microphone.phase.value !== "closed") return;
    this.phase.set("opening");
    void this.#start(++this.#press);
  }

  /** Pointer up, key up, pointer cancelled, view gone: all end the turn the same way. */
  release(): void {
    if (this.phase.value === "opening") {
      this.#media.microphone.close();
      this.phase.set("idle");
    } else if (this.phase.value === "talking") {
      this.phase.set("ending");
      this.#scope.timeout(() => this.#finish(), TAIL_MS);
    }
  }

  async #start(press: number): Promise<void> {
    const flushed = this.#media.flushAll();
    const live = await this.#media.microphone.open();
    await flushed;
    if (press !== this.#press || this.phase.value !== "opening") return;
    if (!live) {
      this.phase.set("idle");
      return;
    }
    this.phase.set("talking");
    this.#tell("talk_start");
  }

  #finish(): void {
    if (this.phase.value === "idle") return;
    this.phase.set("idle");
    this.#media.microphone.close();
    this.#tell("talk_end");
  }
}
