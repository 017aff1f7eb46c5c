export const LANES = ["assistant", "user"] as const;
export type Lane = (typeof LANES)[number];

/** Main thread → playback worklet. Samples are PCM16 at the context's rate. */
export type ToWorklet =
  | { type: "begin"; lane: Lane; id: number; jitter: number }
  | { type: "data"; lane: Lane; id: number; samples: Int16Array }
  | { type: "end"; lane: Lane; id: number }
  | { type: "flush"; lane: Lane; token: number; now: boolean }
  | { type: "tap"; on: boolean }
  | { type: "close" };

/** Playback worklet → main thread. `at` is context time in seconds. */
export type FromWorklet =
  | { type: "counts"; lane: Lane; at: number; id: number; rendered: number; underruns: number; drained: boolean }
  | { type: "flushed"; token: number; at: number; counts: Array<{ id: number; rendered: number; underruns: number }> }
  | { type: "tap"; samples: Float32Array };
