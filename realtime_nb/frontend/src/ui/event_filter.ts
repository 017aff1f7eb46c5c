import type { EventRow } from "../core/messages.gen.ts";

export const FAMILIES = ["session", "conversation", "input audio", "response", "error", "other"] as const;
export type Family = (typeof FAMILIES)[number];

export function familyOf(eventType: string): Family {
  if (eventType === "error") return "error";
  if (eventType.startsWith("session") || eventType.startsWith("transcription_session")) return "session";
  if (eventType.startsWith("conversation")) return "conversation";
  if (eventType.startsWith("input_audio_buffer")) return "input audio";
  if (eventType.startsWith("response") || eventType.startsWith("output_audio_buffer")) return "response";
  return "other";
}

export interface EventFilter {
  direction: "all" | "sent" | "received";
  /** Types not shown. */
  hidden: ReadonlySet<string>;
  search: string;
}

export const SHOW_ALL: EventFilter = { direction: "all", hidden: new Set(), search: "" };

export function matches(row: EventRow, filter: EventFilter): boolean {
  if (filter.direction !== "all" && row.direction !== filter.direction) return false;
  if (filter.hidden.has(row.event_type)) return false;
  const wanted = filter.search.toLowerCase();
  return (
    wanted === "" ||
    row.event_type.toLowerCase().includes(wanted) ||
    row.summary.toLowerCase().includes(wanted) ||
    row.payload.toLowerCase().includes(wanted)
  );
}

/** Session time as minutes, seconds, milliseconds. */
export function formatTime(timeMs: number): string {
  const total = Math.max(0, timeMs);
  const minutes = Math.floor(total / 60_000);
  const seconds = ((total % 60_000) / 1000).toFixed(3).padStart(6, "0");
  return `${minutes}:${seconds}`;
}

/** JSON on many lines; text that is not JSON stays as it is. */
export function prettyJson(text: string): string {
  try {
    return JSON.stringify(JSON.parse(text), null, 2);
  } catch {
    return text;
  }
}
