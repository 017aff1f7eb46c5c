// Generated from realtime_nb/widgets/messages.py by `python -m realtime_nb.widgets.messages_ts`. Do not edit.

export const LINK_VERSION = 1;
export const KIND_MICROPHONE = 1;
export const KIND_PLAYBACK = 2;
export const KIND_UPLOAD = 3;
export const BINARY_HEADER_BYTES = 20;

/** First message on a link. The token came by comm; it is never in a URL or a synced trait. */
export interface Hello {
  type: "hello";
  token: string;
  client_id: string;
  version?: number;
}

/** Answer to `Ping`, at once. */
export interface Pong {
  type: "pong";
  ping_id: number;
  time_client_ms: number;
}

/** A heartbeat of the browser; the kernel answers `ClientPong`. Three missed ones stop the microphone. */
export interface ClientPing {
  type: "client_ping";
  ping_id: number;
  time_client_ms: number;
}

/** What happened to the microphone. `error_name` is the DOMException's name, "insecure" or "gone". */
export interface MicrophoneState {
  type: "microphone_state";
  state: "failed" | "live" | "stopped";
  stream_id?: number;
  error_name?: string;
  error_message?: string;
  device_label?: string;
  device_rate_hz?: number;
  settings?: Record<string, unknown>;
}

/** Samples of a stream (24 kHz timeline) that the audio device really took, cumulative. */
export interface PlaybackRendered {
  type: "playback_rendered";
  stream_id: number;
  rendered_samples: number;
  underruns: number;
  time_client_ms: number;
  drained?: boolean;
  output_latency_ms?: number;
}

/** Answer to `PlaybackFlush`, or unasked (`flush_id` 0) when the user pressed stop or talk. */
export interface PlaybackFlushed {
  type: "playback_flushed";
  flush_id: number;
  rendered: Record<string, number>;
  time_client_ms: number;
}

/** The user did something. The kernel answers one `CommandResult` with the same id. */
export interface Command {
  type: "command";
  id: number;
  name: string;
  arguments?: Record<string, unknown>;
}

export type ToKernel =
  | Hello
  | Pong
  | ClientPing
  | MicrophoneState
  | PlaybackRendered
  | PlaybackFlushed
  | Command;

/** The link is up. `active` is False when another view already carries the audio. */
export interface Ready {
  type: "ready";
  client_id: string;
  active: boolean;
  version: number;
}

/** The link will not come up; `what_now` tells the user why and what to do. */
export interface Refused {
  type: "refused";
  reason: string;
  what_now: string;
}

/** This view became (or stopped being) the one that carries audio. */
export interface Active {
  type: "active";
  active: boolean;
}

/** Measure: the browser answers `Pong` at once. */
export interface Ping {
  type: "ping";
  ping_id: number;
}

/** Answer to `ClientPing`. */
export interface ClientPong {
  type: "client_pong";
  ping_id: number;
  time_client_ms: number;
}

/** The link in use, its round trip, and the map of clocks: session_ms = performance.now() + offset_ms. */
export interface LinkMeasured {
  type: "link_measured";
  transport: "comm" | "direct" | "proxy";
  round_trip_p50_ms: number;
  round_trip_p95_ms: number;
  n: number;
  offset_ms: number;
  offset_error_ms: number;
}

/** Audio of `stream_id` will follow. lane "assistant" is the answer, "user" is a clip being spoken as the user. */
export interface PlaybackBegin {
  type: "playback_begin";
  stream_id: number;
  lane: "assistant" | "user";
  item_id: string;
  content_index: number;
}

/** No more audio will follow for `stream_id`; answer `PlaybackRendered(drained=True)` when all was rendered. */
export interface PlaybackEnd {
  type: "playback_end";
  stream_id: number;
}

/** Stop now and drop what is queued in `lane`; answer `PlaybackFlushed`. */
export interface PlaybackFlush {
  type: "playback_flush";
  flush_id: number;
  lane: "assistant" | "user";
}

/** Open or close the microphone on the kernel's wish. `muted` drops frames without closing the device. */
export interface MicrophoneControl {
  type: "microphone_control";
  open: boolean;
  muted: boolean;
}

/** Something the user should know: what happened and what to do. */
export interface Notice {
  type: "notice";
  level: "error" | "info" | "warning";
  message: string;
  what_now: string;
}

/** What is written of the session, and where to. */
export interface RecordingRow {
  folder: string;
  state: "ended" | "failed" | "writing";
  problem: string;
}

/** The session as the UI shows it. */
export interface SessionState {
  type: "session_state";
  state: "closed" | "connected" | "connecting" | "failed" | "idle" | "reconnecting";
  endpoint: string;
  engine: string;
  model: string;
  voice: string;
  turn_detection: "none" | "semantic_vad" | "server_vad";
  speaking: boolean;
  recording: RecordingRow | null;
  error: string;
  what_now: string;
}

/** One line of the running transcript. Replace the line of the same `item_id`; `order` sorts. */
export interface TranscriptEntry {
  item_id: string;
  order: number;
  role: "assistant" | "system" | "tool" | "user";
  text: string;
  final: boolean;
  heard_characters: number | null;
  status: string;
}

/** Lines of the transcript that are new or changed. */
export interface TranscriptUpdate {
  type: "transcript_update";
  entries: Array<TranscriptEntry>;
}

/** A call of one of the session's functions. The same `call_id` again replaces it. */
export interface ToolCallRow {
  call_id: string;
  item_id: string;
  name: string;
  arguments: string;
  status: "cancelled" | "completed" | "declined" | "failed" | "running" | "timed_out" | "waiting_for_approval";
  output: string;
  error: string;
  duration_ms: number | null;
}

/** Calls that are new or changed. */
export interface ToolCalls {
  type: "tool_calls";
  calls: Array<ToolCallRow>;
}

/** One wire event in the inspector; `payload` is its JSON text with audio elided to a length. */
export interface EventRow {
  sequence: number;
  time_ms: number;
  direction: "received" | "sent";
  event_type: string;
  summary: string;
  payload: string;
  audio_ms: number | null;
  audio_bytes: number;
  response_id: string;
  item_id: string;
}

/** New wire events, in order. `dropped` counts rows that the bounded log no longer holds. */
export interface Events {
  type: "events";
  rows: Array<EventRow>;
  dropped: number;
}

/** A span on a waveform. `end_ms` None means it is still open; the same `region_id` again updates it. */
export interface RegionRow {
  region_id: string;
  lane: "assistant" | "user";
  kind: "hold" | "response" | "speech";
  start_ms: number;
  end_ms: number | null;
}

/** Spans on the waveforms that are new or changed. */
export interface Regions {
  type: "regions";
  regions: Array<RegionRow>;
}

/** The answer to the `Command` of the same id. */
export interface CommandResult {
  type: "command_result";
  id: number;
  ok: boolean;
  result: Record<string, unknown>;
  error: string;
  what_now: string;
}

/** A bundled clip in the menu. */
export interface ClipEntry {
  clip_id: string;
  title: string;
  duration_ms: number;
  origin: string;
}

/** The sample clips menu. */
export interface Clips {
  type: "clips";
  clips: Array<ClipEntry>;
}

export type ToBrowser =
  | Ready
  | Refused
  | Active
  | Ping
  | ClientPong
  | LinkMeasured
  | PlaybackBegin
  | PlaybackEnd
  | PlaybackFlush
  | MicrophoneControl
  | Notice
  | SessionState
  | TranscriptUpdate
  | ToolCalls
  | Events
  | Regions
  | CommandResult
  | Clips;
