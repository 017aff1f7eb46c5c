import { registry } from "../core/audio_registry.ts";
import type { ToWorklet } from "./player_messages.ts";
import type { PlayerNode } from "./player_node.ts";

const TAP_SECONDS = 30;

/** Tell a playback worklet whether a test wants the rendered samples. */
export function tellWorklet(node: PlayerNode): void {
  const message: ToWorklet = { type: "tap", on: registry().probe.tap };
  node.port.postMessage(message);
}

/** Keep rendered assistant samples in the probe's ring. */
export function recordTap(samples: Float32Array, rateHz: number): void {
  const { probe } = registry();
  const tap = (probe.tapped ??= { rateHz, samples: new Float32Array(TAP_SECONDS * rateHz), written: 0 });
  for (const sample of samples) {
    tap.samples[tap.written % tap.samples.length] = sample;
    tap.written += 1;
  }
}
