import { registry } from "../core/audio_registry.ts";
import type { Scope } from "../core/scope.ts";
import { WIRE_RATE_HZ } from "./pcm.ts";

function create(): AudioContext {
  try {
    return new AudioContext({ sampleRate: WIRE_RATE_HZ, latencyHint: "interactive" });
  } catch {
    return new AudioContext({ latencyHint: "interactive" });
  }
}

/** The page's one playback context, at 24 kHz where the browser can; closed when its last user's scope ends. */
export function acquirePlaybackContext(scope: Scope): AudioContext {
  const shared = registry();
  const entry = (shared.playback ??= { context: create(), users: 0 });
  entry.users += 1;
  shared.probe.playbackRateHz = entry.context.sampleRate;
  scope.add(() => {
    entry.users -= 1;
    if (entry.users > 0) return;
    if (shared.playback === entry) shared.playback = null;
    void entry.context.close();
  });
  return entry.context;
}

export function outputLatencyMs(context: AudioContext): number {
  return ((context.outputLatency || 0) + (context.baseLatency || 0)) * 1000;
}
