import type { EventRow } from "../core/messages.gen.ts";
import { Emitter } from "../core/signal.ts";

export interface StoredEvent extends EventRow {
  /** Which session of this widget it belongs to; the kernel answers only for the newest. */
  epoch: number;
}

const MAX_ROWS = 5000;

/** The newest wire events, bounded; what fell out is counted. */
export class EventStore {
  readonly changed = new Emitter<void>();
  rows: StoredEvent[] = [];
  dropped = 0;
  epoch = 0;
  #last: StoredEvent | null = null;

  beginEpoch(): void {
    if (!this.#last) return;
    this.epoch += 1;
    this.#last = null;
  }

  /** Rows known already (a link that came back repeats them) are skipped; a sequence that starts anew is a new session. */
  add(rows: EventRow[], dropped: number): void {
    for (const row of rows) {
      if (this.#last && row.sequence <= this.#last.sequence) {
        if (this.#known(row)) continue;
        this.beginEpoch();
      }
      this.#last = { ...row, epoch: this.epoch };
      this.rows.push(this.#last);
    }
    this.dropped += dropped;
    const excess = this.rows.length - MAX_ROWS;
    if (excess > 0) {
      this.rows.splice(0, excess);
      this.dropped += excess;
    }
    this.changed.emit();
  }

  #known(row: EventRow): boolean {
    const same = this.rows.findLast((other) => other.epoch === this.epoch && other.sequence === row.sequence);
    if (!same) return (this.rows[0]?.sequence ?? 0) > row.sequence;
    return same.event_type === row.event_type && same.time_ms === row.time_ms;
  }
}
