import { type Lane, LANES } from "../audio/player_messages.ts";
import { PEAK_MS, type PeakTrack } from "../audio/peak_track.ts";
import type { LinkMeasured, RegionRow } from "../core/messages.gen.ts";
import type { Scope } from "../core/scope.ts";
import type { Emitter, Signal } from "../core/signal.ts";
import { Canvas, type Surface } from "./canvas.ts";
import { h } from "./dom.ts";
import { drawBars, drawRegion, laneColor, type LaneBox } from "./lane_draw.ts";
import { type Palette, prefersReducedMotion } from "./theme.ts";

const WINDOW_MS = 12_000;
const BAR_PITCH_PX = 3;
const BAR_WIDTH_PX = 2;
const AXIS_HEIGHT_PX = 18;
const CALM_REDRAW_MS = 400;

export interface LanesSource {
  tracks: Record<Lane, PeakTrack>;
  moved: Emitter<void>;
  regions: Signal<Map<string, RegionRow>>;
  measured: Signal<LinkMeasured | null>;
}

/** Both sides of the conversation on one time axis, the last twelve seconds; stands still when nothing moves. */
export function lanes(scope: Scope, source: LanesSource): HTMLElement {
  let ticking = false;
  const canvas = new Canvas(scope, "Waveforms of the last twelve seconds: you above, the assistant below", (surface) => {
    draw(surface, source);
    tick();
  });

  const moving = (): boolean => {
    const nowMs = performance.now();
    const newest = Math.max(...LANES.map((lane) => source.tracks[lane].lastMs));
    return nowMs - newest < WINDOW_MS + 200;
  };
  const tick = (): void => {
    if (ticking || !moving() || !canvas.visible || document.hidden) return;
    if (!prefersReducedMotion()) {
      canvas.request();
      return;
    }
    ticking = true;
    scope.timeout(() => {
      ticking = false;
      canvas.request();
    }, CALM_REDRAW_MS);
  };
  source.moved.subscribe(scope, () => {
    if (!ticking && canvas.visible) canvas.request();
  });
  source.regions.subscribe(scope, () => canvas.request());
  scope.listen(document, "visibilitychange", () => canvas.request());

  return h(
    "section",
    { class: "rnb-scope", "aria-label": "Waveforms" },
    h("div", { class: "rnb-scope-labels", "aria-hidden": true }, h("span", { class: "rnb-user" }, "You"), h("span", { class: "rnb-assistant" }, "Assistant")),
    canvas.element,
    legend(),
  );
}

function legend(): HTMLElement {
  const entry = (kind: string, text: string): HTMLElement =>
    h("li", {}, h("i", { class: `rnb-swatch rnb-swatch-${kind}` }), text);
  return h(
    "ul",
    { class: "rnb-legend", "aria-label": "Legend" },
    entry("speech", "speech"),
    entry("hold", "hold: waiting for the end of the turn"),
    entry("response", "response"),
  );
}

function draw({ context, width, height, palette }: Surface, source: LanesSource): void {
  const nowMs = performance.now();
  const fromMs = nowMs - WINDOW_MS;
  const laneHeight = (height - AXIS_HEIGHT_PX) / 2;
  const toX = (timeMs: number): number => ((timeMs - fromMs) / WINDOW_MS) * width;
  drawAxis(context, palette, { x: 0, y: height - AXIS_HEIGHT_PX, width, height: AXIS_HEIGHT_PX });
  (["user", "assistant"] as const).forEach((lane, index) => {
    const box: LaneBox = { x: 0, y: index * laneHeight, width, height: laneHeight - 2 };
    const color = laneColor(palette, lane);
    const offsetMs = source.measured.value?.offset_ms ?? 0;
    for (const region of source.regions.value.values()) {
      if (region.lane !== lane) continue;
      const endMs = region.end_ms === null ? nowMs : region.end_ms - offsetMs;
      const x = Math.max(0, toX(region.start_ms - offsetMs));
      const right = Math.min(width, toX(endMs));
      if (right > x) drawRegion(context, region.kind, color, palette, { ...box, x, width: right - x });
    }
    context.fillStyle = palette.grid;
    context.fillRect(0, Math.round(box.y + box.height / 2), width, 1);
    drawBars(context, color, box, bars(source.tracks[lane], fromMs, nowMs, width, toX), BAR_WIDTH_PX);
  });
}

/** Peaks joined into bars that are tied to time, not to the window, so that they do not shimmer while they scroll. */
function bars(
  track: PeakTrack,
  fromMs: number,
  toMs: number,
  width: number,
  toX: (timeMs: number) => number,
): Array<readonly [number, number, number]> {
  const barMs = Math.max(PEAK_MS, Math.ceil(((WINDOW_MS / width) * BAR_PITCH_PX) / PEAK_MS) * PEAK_MS);
  const found: Array<[number, number, number]> = [];
  let current = -1;
  track.each(fromMs, toMs, (timeMs, low, high) => {
    const bar = Math.floor(timeMs / barMs);
    const last = found[found.length - 1];
    if (bar === current && last) {
      last[1] = Math.min(last[1], low);
      last[2] = Math.max(last[2], high);
    } else {
      current = bar;
      found.push([toX(bar * barMs), low, high]);
    }
  });
  return found;
}

function drawAxis(context: CanvasRenderingContext2D, palette: Palette, box: LaneBox): void {
  context.font = palette.font;
  context.textBaseline = "middle";
  const seconds = WINDOW_MS / 1000;
  const every = box.width < 480 ? 3 : 1;
  for (let second = 0; second <= seconds; second += every) {
    const x = box.width - (second / seconds) * box.width;
    context.fillStyle = palette.grid;
    context.fillRect(Math.min(box.width - 1, Math.round(x)), box.y, 1, second % 3 === 0 ? 5 : 3);
    if (second % 3 !== 0) continue;
    context.fillStyle = palette.text;
    context.textAlign = second === 0 ? "right" : second === seconds ? "left" : "center";
    context.fillText(second === 0 ? "now" : `−${second} s`, x, box.y + 11);
  }
}
