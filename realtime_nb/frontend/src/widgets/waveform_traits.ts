import type { Model } from "../core/anywidget.ts";
import type { RegionRow } from "../core/messages.gen.ts";
import type { Scope } from "../core/scope.ts";
import { h, setText } from "../ui/dom.ts";
import { formatDuration, type StaticWaveform } from "../ui/static_waveform.ts";
import { bytesToInt8 } from "./bytes.ts";
import { watchTrait } from "./mount.ts";

/** Title and length above a waveform, and the waveform itself, as the traits say. */
export function bindWaveform(scope: Scope, model: Model, waveform: StaticWaveform): HTMLElement {
  const title = h("h2", { class: "rnb-panel-title" });
  const duration = h("span", { class: "rnb-count" });
  watchTrait(scope, model, "title", (value) => {
    setText(title, typeof value === "string" ? value : "");
    waveform.label(`Waveform ${title.textContent}`.trim());
  });
  watchTrait(scope, model, "duration_ms", (value) => {
    const durationMs = typeof value === "number" ? value : 0;
    setText(duration, formatDuration(durationMs));
    waveform.update({ durationMs });
  });
  watchTrait(scope, model, "peaks", (value) => waveform.update({ peaks: bytesToInt8(value) }));
  watchTrait(scope, model, "regions", (value) => {
    waveform.update({ regions: Array.isArray(value) ? (value as RegionRow[]) : [] });
  });
  return h("div", { class: "rnb-panel-title-row" }, title, duration);
}
