import type {
  ClipEntry,
  LinkMeasured,
  Notice,
  RegionRow,
  SessionState,
  ToBrowser,
  ToolCallRow,
  TranscriptEntry,
} from "../core/messages.gen.ts";
import { Signal } from "../core/signal.ts";
import { EventStore } from "./event_store.ts";

export interface NoticeItem extends Omit<Notice, "type"> {
  key: string;
}

export interface TranscriptLine extends TranscriptEntry {
  /** Which session of this widget the line belongs to; earlier ones stay readable. */
  epoch: number;
}

const MAX_NOTICES = 4;
const MAX_REGIONS = 200;
const MAX_LINES = 500;
const MAX_CALLS = 500;

const IDLE: SessionState = {
  type: "session_state",
  state: "idle",
  endpoint: "",
  engine: "",
  model: "",
  voice: "",
  turn_detection: "server_vad",
  speaking: false,
  recording: null,
  error: "",
  what_now: "",
};

/** Everything the kernel told this widget; stays readable when the kernel is gone. */
export class StudioState {
  readonly session = new Signal<SessionState>(IDLE);
  readonly active = new Signal(true);
  readonly clips = new Signal<ClipEntry[]>([]);
  readonly measured = new Signal<LinkMeasured | null>(null);
  readonly notices = new Signal<NoticeItem[]>([]);
  readonly transcript = new Signal<TranscriptLine[]>([]);
  /** Calls of the session's functions by `epoch:item_id`, as the transcript's lines are. */
  readonly calls = new Signal<ReadonlyMap<string, ToolCallRow>>(new Map());
  /** Those of them that wait for a person. */
  readonly waiting = new Signal<ToolCallRow[]>([]);
  readonly regions = new Signal(new Map<string, RegionRow>());
  readonly events = new EventStore();
  #epoch = 0;
  #noticeCount = 0;

  receive(message: ToBrowser): void {
    switch (message.type) {
      case "ready":
      case "active":
        this.active.set(message.active);
        break;
      case "session_state":
        this.#onSession(message);
        break;
      case "transcript_update":
        this.#onTranscript(message.entries);
        break;
      case "tool_calls":
        this.#onCalls(message.calls);
        break;
      case "events":
        this.events.add(message.rows, message.dropped);
        break;
      case "regions":
        this.#onRegions(message.regions);
        break;
      case "clips":
        this.clips.set(message.clips);
        break;
      case "link_measured":
        this.measured.set(message);
        break;
      case "notice":
        this.notify(message.level, message.message, message.what_now);
    }
  }

  /** Say something to the user. A `key` replaces an earlier notice of the same key. */
  notify(level: Notice["level"], message: string, whatNow = "", key = `notice-${this.#noticeCount++}`): void {
    const item: NoticeItem = { level, message, what_now: whatNow, key };
    const others = this.notices.value.filter(
      (other) => other.key !== key && !(other.message === message && other.what_now === whatNow),
    );
    this.notices.set([...others, item].slice(-MAX_NOTICES));
  }

  dismiss(key: string): void {
    if (this.notices.value.some((item) => item.key === key)) {
      this.notices.set(this.notices.value.filter((item) => item.key !== key));
    }
  }

  #onSession(next: SessionState): void {
    const before = this.session.value;
    if (next.state === "connecting" && before.state !== "connecting" && before.state !== "idle") this.#beginEpoch();
    this.session.set(next);
    if (next.state === before.state && next.error === before.error) return;
    if (next.state === "failed" || (next.state === "closed" && next.error)) {
      this.notify("error", next.error || "The session failed.", next.what_now, "session");
    } else if (next.state === "connected") {
      this.dismiss("session");
    }
  }

  #beginEpoch(): void {
    this.#epoch += 1;
    this.events.beginEpoch();
    this.regions.value.clear();
    this.regions.notify();
    this.waiting.set([]);
  }

  #onTranscript(entries: TranscriptEntry[]): void {
    const lines = new Map(this.transcript.value.map((line) => [`${line.epoch}:${line.item_id}`, line]));
    for (const entry of entries) {
      lines.set(`${this.#epoch}:${entry.item_id}`, { ...entry, epoch: this.#epoch });
    }
    const sorted = [...lines.values()].sort((a, b) => a.epoch - b.epoch || a.order - b.order);
    this.transcript.set(sorted.slice(-MAX_LINES));
  }

  #onCalls(changed: ToolCallRow[]): void {
    const calls = new Map(this.calls.value);
    for (const call of changed) calls.set(`${this.#epoch}:${call.item_id || call.call_id}`, call);
    for (const key of calls.keys()) {
      if (calls.size <= MAX_CALLS) break;
      calls.delete(key);
    }
    this.calls.set(calls);
    const others = this.waiting.value.filter((call) => !changed.some((one) => one.call_id === call.call_id));
    this.waiting.set([...others, ...changed.filter((call) => call.status === "waiting_for_approval")]);
  }

  #onRegions(rows: RegionRow[]): void {
    const regions = this.regions.value;
    for (const row of rows) {
      regions.delete(row.region_id);
      regions.set(row.region_id, row);
    }
    for (const id of regions.keys()) {
      if (regions.size <= MAX_REGIONS) break;
      regions.delete(id);
    }
    this.regions.notify();
  }
}
