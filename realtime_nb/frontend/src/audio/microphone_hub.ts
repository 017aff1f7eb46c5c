import { registry } from "../core/audio_registry.ts";
import { Scope } from "../core/scope.ts";
import type { FrameMessage } from "./capture_messages.ts";
import workletSource from "./capture.worklet.ts?raw";
import { ClockMap } from "./clock_map.ts";
import { InsecurePageError } from "./microphone_error.ts";
import { loadWorklet } from "./worklet_module.ts";

/** 20 ms of microphone. `frame` is valid only during the call. */
export interface MicrophoneFrame {
  frame: Int16Array;
  timeMs: number;
}

export interface MicrophoneDevice {
  label: string;
  rateHz: number;
  settings: Record<string, unknown>;
}

export interface MicrophoneUser {
  onFrame(frame: MicrophoneFrame): void;
  /** The device went away by itself (unplugged, permission withdrawn). */
  onEnded(): void;
}

/** The page's one microphone: open while anybody uses it, fully stopped after. */
export class MicrophoneHub {
  #users = new Set<MicrophoneUser>();
  #opening: Promise<MicrophoneDevice> | null = null;
  #scope: Scope | null = null;

  /** Rejects with the browser's own DOMException, or `InsecurePageError`. */
  async open(user: MicrophoneUser): Promise<MicrophoneDevice> {
    this.#users.add(user);
    try {
      this.#opening ??= this.#start((this.#scope = new Scope()));
      return await this.#opening;
    } catch (error) {
      this.close(user);
      throw error;
    }
  }

  close(user: MicrophoneUser): void {
    this.#users.delete(user);
    if (this.#users.size > 0) return;
    this.#opening = null;
    this.#scope?.dispose();
    this.#scope = null;
  }

  async #start(scope: Scope): Promise<MicrophoneDevice> {
    if (!navigator.mediaDevices?.getUserMedia) throw new InsecurePageError("no mediaDevices on this page");
    const stream = await navigator.mediaDevices.getUserMedia({
      audio: { echoCancellation: true, noiseSuppression: true, autoGainControl: true, channelCount: { ideal: 1 } },
    });
    const track = stream.getAudioTracks()[0];
    scope.add(() => {
      for (const each of stream.getTracks()) each.stop();
    });
    const context = new AudioContext({ latencyHint: "interactive" });
    scope.add(() => void context.close());
    if (context.state === "suspended") void context.resume();
    await loadWorklet(context, workletSource);
    if (scope.disposed || !track) throw new DOMException("closed while opening", "AbortError");
    this.#wire(scope, context, stream, track);
    registry().probe.microphoneRateHz = context.sampleRate;
    return { label: track.label, rateHz: context.sampleRate, settings: { ...track.getSettings() } };
  }

  #wire(scope: Scope, context: AudioContext, stream: MediaStream, track: MediaStreamTrack): void {
    const source = context.createMediaStreamSource(stream);
    const node = new AudioWorkletNode(context, "realtime-nb-capture", { outputChannelCount: [1] });
    const clock = new ClockMap();
    node.port.onmessage = ({ data }: MessageEvent<FrameMessage>) => {
      if (scope.disposed) return;
      const timeMs = clock.toPerformanceMs(data.now) - (data.now - data.at) * 1000;
      registry().probe.microphoneFramesDropped = data.dropped;
      for (const user of [...this.#users]) user.onFrame({ frame: data.frame, timeMs });
      node.port.postMessage(data.frame.buffer, [data.frame.buffer]);
    };
    source.connect(node).connect(context.destination);
    scope.add(() => {
      node.port.postMessage("close");
      source.disconnect();
      node.disconnect();
    });
    scope.listen(track, "ended", () => {
      for (const user of [...this.#users]) user.onEnded();
    });
  }
}

export function microphoneHub(): MicrophoneHub {
  return (registry().microphone ??= new MicrophoneHub());
}
