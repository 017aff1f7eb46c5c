import type { MicrophoneHub } from "../audio/microphone_hub.ts";

/** Rendered assistant audio, kept only when a test asked for it. */
export interface Tap {
  rateHz: number;
  samples: Float32Array;
  /** Samples written since the tap began; the newest is at `(written - 1) % samples.length`. */
  written: number;
}

/** Counters for tests and `doctor`. */
export interface Probe {
  /** Set true before playback to keep the last 30 s of rendered assistant samples in `tapped`. */
  tap: boolean;
  tapped: Tap | null;
  /** stream_id → samples rendered on the 24 kHz timeline. */
  rendered: Record<number, number>;
  underruns: Record<number, number>;
  microphoneFramesSent: number;
  microphoneFramesDropped: number;
  transport: string;
  playbackRateHz: number;
  microphoneRateHz: number;
}

/** What all widget instances of a page share: each evaluates its own copy of the module. */
export interface Registry {
  probe: Probe;
  playback: { context: AudioContext; users: number } | null;
  microphone: MicrophoneHub | null;
}

const KEY = Symbol.for("realtime_nb");

export function registry(): Registry {
  const global = globalThis as unknown as Record<symbol, Registry | undefined>;
  return (global[KEY] ??= {
    probe: {
      tap: false,
      tapped: null,
      rendered: {},
      underruns: {},
      microphoneFramesSent: 0,
      microphoneFramesDropped: 0,
      transport: "",
      playbackRateHz: 0,
      microphoneRateHz: 0,
    },
    playback: null,
    microphone: null,
  });
}
