import type { ToolCallRow } from "../core/messages.gen.ts";
import { h } from "./dom.ts";

const STATUS_WORDS: Record<ToolCallRow["status"], string> = {
  running: "running…",
  waiting_for_approval: "waits for approval",
  completed: "",
  failed: "failed",
  timed_out: "timed out",
  declined: "refused",
  cancelled: "cancelled",
};

/** How far a call is, and how long it ran. */
export function callNote({ status, duration_ms: durationMs }: ToolCallRow): string {
  const ran = status === "declined" || durationMs === null ? "" : formatDuration(durationMs);
  return [STATUS_WORDS[status], ran].filter(Boolean).join(" · ");
}

export function formatDuration(durationMs: number): string {
  if (durationMs < 1) return "< 1 ms";
  return durationMs < 1000 ? `${Math.round(durationMs)} ms` : `${(durationMs / 1000).toFixed(1)} s`;
}

/** The arguments as names and values; what is not a JSON object stays as it was written. */
export function callArguments(text: string): [name: string, value: string][] {
  try {
    const parsed: unknown = JSON.parse(text || "{}");
    if (parsed && typeof parsed === "object" && !Array.isArray(parsed)) {
      return Object.entries(parsed).map(([name, value]) => [name, typeof value === "string" ? value : JSON.stringify(value)]);
    }
  } catch {
    // shown as written
  }
  return [["", text]];
}

export function argumentsInLine(text: string): string {
  const parts = callArguments(text).map(([name, value]) => (name ? `${name}: ${value}` : value));
  return parts.join(", ");
}

export function argumentList(text: string): HTMLElement {
  const list = h("dl", { class: "rnb-arguments" });
  for (const [name, value] of callArguments(text)) {
    list.append(h("dt", {}, name || "arguments"), h("dd", { dir: "auto" }, value));
  }
  list.hidden = list.childElementCount === 0;
  return list;
}
