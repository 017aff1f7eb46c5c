import { registry } from "../core/audio_registry.ts";
import { encodeBinary } from "../core/binary.ts";
import type { Link } from "../core/link.ts";
import { KIND_MICROPHONE } from "../core/messages.gen.ts";
import type { Scope } from "../core/scope.ts";
import { Emitter, Signal } from "../core/signal.ts";
import { FRAME_SAMPLES } from "./capture_messages.ts";
import { type MicrophoneFailure, microphoneFailure, MicrophoneGoneError } from "./microphone_error.ts";
import { type MicrophoneFrame, microphoneHub, type MicrophoneUser } from "./microphone_hub.ts";

const COMM_FRAMES = 3;
/** More than this unsent on the socket means that the kernel does not keep up: frames are dropped and counted. */
const MAX_BUFFERED_BYTES = 512 * 1024;

export type MicrophonePhase = "closed" | "opening" | "live";

/** One model's use of the page's microphone: frames to the kernel, states in both directions, never on by surprise. */
export class Microphone {
  readonly phase = new Signal<MicrophonePhase>("closed");
  readonly failure = new Signal<MicrophoneFailure | null>(null);
  readonly frames = new Emitter<MicrophoneFrame>();
  muted = false;

  #link: Link;
  #user: MicrophoneUser | null = null;
  #streamId = 0;
  #sequence = 0;
  #batch = new Int16Array(FRAME_SAMPLES * COMM_FRAMES);
  #batched = 0;
  #batchTimeMs = 0;

  constructor(link: Link, scope: Scope) {
    this.#link = link;
    link.stalled.subscribe(scope, () => this.close());
    scope.add(() => this.close());
  }

  /** Resolves true when frames flow, false when it failed or was closed meanwhile. */
  async open(): Promise<boolean> {
    if (this.#user) return this.phase.value === "live";
    const user: MicrophoneUser = {
      onFrame: (frame) => this.#onFrame(user, frame),
      onEnded: () => this.#onEnded(user),
    };
    this.#user = user;
    this.phase.set("opening");
    this.failure.set(null);
    try {
      const device = await microphoneHub().open(user);
      if (this.#user !== user) return false;
      this.#streamId += 1;
      this.#sequence = 0;
      this.#batched = 0;
      this.#link.send({
        type: "microphone_state",
        state: "live",
        stream_id: this.#streamId,
        device_label: device.label,
        device_rate_hz: device.rateHz,
        settings: device.settings,
      });
      this.phase.set("live");
      return true;
    } catch (error) {
      if (this.#user === user) this.#fail(error);
      return false;
    }
  }

  close(): void {
    const user = this.#user;
    if (!user) return;
    this.#user = null;
    microphoneHub().close(user);
    const wasLive = this.phase.value === "live";
    this.phase.set("closed");
    if (wasLive) this.#link.send({ type: "microphone_state", state: "stopped", stream_id: this.#streamId });
  }

  #fail(error: unknown): void {
    this.#user = null;
    const failure = microphoneFailure(error);
    this.phase.set("closed");
    this.failure.set(failure);
    this.#link.send({
      type: "microphone_state",
      state: "failed",
      stream_id: this.#streamId,
      error_name: failure.name,
      error_message: failure.message,
    });
  }

  #onEnded(user: MicrophoneUser): void {
    if (this.#user !== user) return;
    microphoneHub().close(user);
    this.#fail(new MicrophoneGoneError("the track ended"));
  }

  #onFrame(user: MicrophoneUser, { frame, timeMs }: MicrophoneFrame): void {
    if (this.#user !== user || this.phase.value !== "live") return;
    this.frames.emit({ frame, timeMs });
    if (this.muted) return;
    const framesPerMessage = this.#link.status.value.transport === "comm" ? COMM_FRAMES : 1;
    if (this.#batched === 0) this.#batchTimeMs = timeMs;
    this.#batch.set(frame, this.#batched);
    this.#batched += frame.length;
    if (this.#batched >= framesPerMessage * FRAME_SAMPLES) this.#sendBatch();
  }

  #sendBatch(): void {
    const { probe } = registry();
    const sequence = this.#sequence++;
    if (this.#link.bufferedBytes > MAX_BUFFERED_BYTES) {
      probe.microphoneFramesDropped += 1;
    } else {
      const sent = this.#link.sendBinary(
        encodeBinary({
          kind: KIND_MICROPHONE,
          streamId: this.#streamId,
          sequence,
          timeClientMs: this.#batchTimeMs,
          payload: new Uint8Array(this.#batch.buffer, 0, this.#batched * 2),
        }),
      );
      if (sent) probe.microphoneFramesSent += 1;
    }
    this.#batched = 0;
    if (!this.#link.open) this.close();
  }
}
