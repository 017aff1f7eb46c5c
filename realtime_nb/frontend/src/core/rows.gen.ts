// Generated from realtime_nb/widgets/race_rows.py and timeline_rows.py by `python -m realtime_nb.widgets.messages_ts`. Do not edit.

/** A stretch of a turn: a stage by its name, or "unattributed", which no stage explains. */
export interface SpanRow {
  name: string;
  label: string;
  what: string;
  start_ms: number;
  end_ms: number;
  error_ms: number;
  source: string;
}

/** A moment of a turn; without a time, `why` says why it could not be measured. */
export interface MomentRow {
  name: string;
  label: string;
  what: string;
  time_ms: number | null;
  error_ms: number;
  source: string;
  beside: boolean;
  why: string;
}

/** One turn as it is drawn. */
export interface TimelineRow {
  title: string;
  route: string;
  made_by: string;
  simulated: Array<string>;
  headline: string;
  voice_to_voice_ms: number | null;
  spans: Array<SpanRow>;
  moments: Array<MomentRow>;
  flags: Array<string>;
}

/** The stage that a lane is in; `since_ms` is on the race's clock. */
export interface PendingRow {
  name: string;
  label: string;
  what: string;
  since_ms: number;
}

/** One architecture in the race. */
export interface LaneRow {
  title: string;
  made_by: string;
  simulated: Array<string>;
  phase: "answering" | "asking" | "done" | "failed" | "idle" | "stopped" | "thinking" | "warming";
  zero_ms: number | null;
  timeline: TimelineRow | null;
  pending: PendingRow | null;
  heard: string;
  said: string;
  answer_ms: number;
  place: number;
  error: string;
  stream_id: number;
}

/** One line of a table of medians. */
export interface SummaryRow {
  title: string;
  n: number;
  missing: number;
  median_ms: number | null;
  low_ms: number | null;
  high_ms: number | null;
  p90_ms: number | null;
}

/** Medians with their intervals; `caption` says how they came about and `provenance` who computed. */
export interface TableRow {
  caption: string;
  measured: boolean;
  rows: Array<SummaryRow>;
  facts: Array<string>;
  provenance: string;
}

/** All of a race. `now_ms` is the race's clock when this was sent; it starts with the question. */
export interface RaceRow {
  state: "done" | "idle" | "racing" | "saved" | "stopped" | "warming";
  race: number;
  races: number;
  now_ms: number;
  clip_title: string;
  clip_ms: number;
  question_stream_id: number;
  lanes: Array<LaneRow>;
  tables: Array<TableRow>;
  fairness: string;
}
