import type { Lane } from "../audio/player_messages.ts";
import type { RegionRow } from "../core/messages.gen.ts";
import type { Palette } from "./theme.ts";

export interface LaneBox {
  x: number;
  y: number;
  width: number;
  height: number;
}

export function withAlpha(color: string, alpha: number): string {
  return `color-mix(in srgb, ${color} ${Math.round(alpha * 100)}%, transparent)`;
}

/** A region as its lane shows it: speech a tint, hold hatched, response a tint with a rule on top. */
export function drawRegion(
  context: CanvasRenderingContext2D,
  kind: RegionRow["kind"],
  color: string,
  palette: Palette,
  box: LaneBox,
): void {
  context.save();
  context.beginPath();
  context.rect(box.x, box.y, box.width, box.height);
  context.clip();
  if (kind === "hold") {
    context.strokeStyle = palette.hold;
    context.lineWidth = 1;
    context.beginPath();
    const step = 6;
    const first = Math.floor((box.x - box.height) / step) * step;
    for (let x = first; x < box.x + box.width; x += step) {
      context.moveTo(x, box.y + box.height);
      context.lineTo(x + box.height, box.y);
    }
    context.stroke();
  } else {
    context.fillStyle = withAlpha(color, kind === "speech" ? 0.16 : 0.12);
    context.fillRect(box.x, box.y, box.width, box.height);
    context.fillStyle = withAlpha(color, 0.9);
    if (kind === "speech") context.fillRect(box.x, box.y + box.height - 2, box.width, 2);
    else context.fillRect(box.x, box.y, box.width, 2);
  }
  context.restore();
}

/** Speech is loud in the middle and quiet at the ends; a root makes the quiet visible without lying about silence. */
export function peakHeight(value: number): number {
  const magnitude = Math.min(1, Math.abs(value) / 127);
  return magnitude < 0.004 ? 0 : Math.sqrt(magnitude) * 0.96;
}

/** Bars on whole pixels around the lane's middle. `each` calls back with x, low, high. */
export function drawBars(
  context: CanvasRenderingContext2D,
  color: string,
  box: LaneBox,
  bars: Iterable<readonly [x: number, low: number, high: number]>,
  barWidth: number,
): void {
  const middle = box.y + box.height / 2;
  const reach = box.height / 2 - 4;
  context.fillStyle = color;
  for (const [x, low, high] of bars) {
    const up = Math.max(0.5, peakHeight(high) * reach);
    const down = Math.max(0.5, peakHeight(low) * reach);
    context.fillRect(x, middle - up, barWidth, up + down);
  }
}

export function laneColor(palette: Palette, lane: Lane): string {
  return lane === "user" ? palette.user : palette.assistant;
}
