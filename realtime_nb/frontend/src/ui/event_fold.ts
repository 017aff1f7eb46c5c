import type { EventRow } from "../core/messages.gen.ts";

export interface FoldableEvent extends EventRow {
  epoch: number;
}

export interface SingleRow<T> {
  key: string;
  event: T;
  /** One of an unfolded run. */
  member: boolean;
}

export interface RunRow<T> {
  key: string;
  /** Changes when the run grew or was unfolded. */
  version: string;
  run: readonly T[];
  unfolded: boolean;
}

export type FoldedRow<T> = SingleRow<T> | RunRow<T>;

/** Audio on its way and answers piece by piece: what comes many times a second. */
export function isFoldable(eventType: string): boolean {
  return eventType === "input_audio_buffer.append" || eventType.endsWith(".delta");
}

/**
 * One row for each stream of pieces between two other events, at the place of its first piece: streams run beside each
 * other (the microphone while the answer comes, words beside audio), so pieces need not be neighbours.
 */
export function foldRuns<T extends FoldableEvent>(events: readonly T[], unfolded: ReadonlySet<string>): FoldedRow<T>[] {
  const rows: FoldedRow<T>[] = [];
  const streams = new Map<string, T[]>();
  const endRuns = (): void => {
    for (const run of streams.values()) addRun(rows, run, unfolded);
    streams.clear();
  };
  for (const event of events) {
    if (!isFoldable(event.event_type)) {
      endRuns();
      rows.push(single(event));
      continue;
    }
    const stream = [event.epoch, event.direction, event.event_type, event.item_id, event.response_id].join("|");
    const run = streams.get(stream);
    if (run) run.push(event);
    else streams.set(stream, [event]);
  }
  endRuns();
  return rows;
}

export function singles<T extends FoldableEvent>(events: readonly T[]): FoldedRow<T>[] {
  return events.map((event) => single(event));
}

function addRun<T extends FoldableEvent>(rows: FoldedRow<T>[], run: readonly T[], unfolded: ReadonlySet<string>): void {
  const first = run[0];
  if (!first) return;
  if (run.length === 1) {
    rows.push(single(first));
    return;
  }
  const key = `run-${first.epoch}-${first.sequence}`;
  const isUnfolded = unfolded.has(key);
  rows.push({ key, version: `${run.length}${isUnfolded ? "-unfolded" : ""}`, run, unfolded: isUnfolded });
  if (isUnfolded) for (const event of run) rows.push(single(event, true));
}

function single<T extends FoldableEvent>(event: T, member = false): SingleRow<T> {
  return { key: `${member ? "of-" : ""}${event.epoch}-${event.sequence}`, event, member };
}

/** How much and over which time; the words, for pieces of text. */
export function runSummary(run: readonly EventRow[]): string {
  const [first, last] = [run[0], run.at(-1)];
  if (!first || !last) return "";
  const span = `over ${seconds(last.time_ms - first.time_ms)}`;
  const audioBytes = run.reduce((sum, event) => sum + event.audio_bytes, 0);
  if (audioBytes > 0) return `${formatBytes(audioBytes)} · ${span}`;
  const words = run.map(({ summary }) => summary.replace(/^“|”$/g, "")).join("");
  return words ? `“${words}” · ${span}` : span;
}

function seconds(timeMs: number): string {
  return timeMs < 999.5 ? `${Math.round(timeMs)} ms` : `${(timeMs / 1000).toFixed(timeMs < 9950 ? 2 : 1)} s`;
}

export function formatBytes(bytes: number): string {
  if (bytes < 1000) return `${bytes} B`;
  return bytes < 1_000_000 ? `${(bytes / 1000).toFixed(bytes < 100_000 ? 1 : 0)} kB` : `${(bytes / 1e6).toFixed(1)} MB`;
}
