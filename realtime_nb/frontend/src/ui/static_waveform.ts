import type { Lane } from "../audio/player_messages.ts";
import type { RegionRow } from "../core/messages.gen.ts";
import type { Scope } from "../core/scope.ts";
import { Canvas, type Surface } from "./canvas.ts";
import { h } from "./dom.ts";
import { drawBars, drawRegion, laneColor } from "./lane_draw.ts";

const BAR_PITCH_PX = 3;
const BAR_WIDTH_PX = 2;

export interface WaveformContent {
  /** int8 min/max pairs, evenly spread over the duration. */
  peaks: Int8Array;
  durationMs: number;
  regions: RegionRow[];
  lane: Lane;
  /** How much was played; null draws no position. */
  positionMs: number | null;
}

/** A whole sound at once: bars, regions, and where playing is. */
export class StaticWaveform {
  readonly element: HTMLElement;
  #canvas: Canvas;
  #content: WaveformContent = { peaks: new Int8Array(0), durationMs: 0, regions: [], lane: "user", positionMs: null };

  constructor(scope: Scope, label: string) {
    this.#canvas = new Canvas(scope, label, (surface) => this.#draw(surface));
    this.element = h("div", { class: "rnb-waveform" }, this.#canvas.element);
  }

  update(change: Partial<WaveformContent>): void {
    this.#content = { ...this.#content, ...change };
    this.#canvas.request();
  }

  label(text: string): void {
    this.#canvas.element.setAttribute("aria-label", text);
  }

  #draw({ context, width, height, palette }: Surface): void {
    const { peaks, durationMs, regions, lane, positionMs } = this.#content;
    const box = { x: 0, y: 0, width, height };
    const color = laneColor(palette, lane);
    const toX = (timeMs: number): number => (durationMs > 0 ? (timeMs / durationMs) * width : 0);
    for (const region of regions) {
      const x = toX(region.start_ms);
      const right = toX(region.end_ms ?? durationMs);
      drawRegion(context, region.kind, laneColor(palette, region.lane), palette, { ...box, x, width: right - x });
    }
    context.fillStyle = palette.grid;
    context.fillRect(0, Math.round(height / 2), width, 1);
    const bars = columns(peaks, width);
    if (positionMs === null) {
      drawBars(context, color, box, bars, BAR_WIDTH_PX);
      return;
    }
    const x = toX(positionMs);
    context.globalAlpha = 0.4;
    drawBars(context, color, box, bars.filter((bar) => bar[0] >= x), BAR_WIDTH_PX);
    context.globalAlpha = 1;
    drawBars(context, color, box, bars.filter((bar) => bar[0] < x), BAR_WIDTH_PX);
    context.fillStyle = palette.text;
    context.fillRect(Math.round(x), 0, 1, height);
  }
}

/** One bar per pitch with the extremes of the pairs that it covers. */
export function columns(peaks: Int8Array, width: number): Array<readonly [number, number, number]> {
  const pairs = Math.floor(peaks.length / 2);
  const count = Math.min(pairs, Math.floor(width / BAR_PITCH_PX));
  const found: Array<readonly [number, number, number]> = [];
  for (let bar = 0; bar < count; bar += 1) {
    let low = 0;
    let high = 0;
    const end = Math.ceil(((bar + 1) * pairs) / count);
    for (let i = Math.floor((bar * pairs) / count); i < end; i += 1) {
      low = Math.min(low, peaks[2 * i] as number);
      high = Math.max(high, peaks[2 * i + 1] as number);
    }
    found.push([(bar * width) / count, low, high]);
  }
  return found;
}

export function formatDuration(durationMs: number): string {
  const seconds = Math.max(0, durationMs) / 1000;
  return seconds < 60 ? `${seconds.toFixed(1)} s` : `${Math.floor(seconds / 60)}:${(seconds % 60).toFixed(1).padStart(4, "0")}`;
}
