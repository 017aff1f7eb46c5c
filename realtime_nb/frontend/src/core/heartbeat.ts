import type { ClientPing, ClientPong } from "./messages.gen.ts";
import type { Scope } from "./scope.ts";

const EVERY_MS = 1000;
const MISSED_LIMIT = 3;
const KEPT_ROUND_TRIPS = 15;

/** Asks each second whether the kernel still hears us, and measures the round trip while at it. */
export class Heartbeat {
  #send: (ping: ClientPing) => void;
  #measured: (roundTripMs: number) => void;
  #stalled: () => void;
  #nextId = 1;
  #unanswered = 0;
  #roundTripsMs: number[] = [];

  constructor(send: (ping: ClientPing) => void, measured: (roundTripMs: number) => void, stalled: () => void) {
    this.#send = send;
    this.#measured = measured;
    this.#stalled = stalled;
  }

  start(scope: Scope): void {
    this.#unanswered = 0;
    this.#roundTripsMs = [];
    scope.timeout(() => this.#beat(), 50);
    scope.interval(() => this.#beat(), EVERY_MS);
  }

  answered(pong: ClientPong): void {
    this.#unanswered = 0;
    this.#roundTripsMs.push(performance.now() - pong.time_client_ms);
    if (this.#roundTripsMs.length > KEPT_ROUND_TRIPS) this.#roundTripsMs.shift();
    const sorted = [...this.#roundTripsMs].sort((a, b) => a - b);
    this.#measured(sorted[Math.floor(sorted.length / 2)] ?? 0);
  }

  #beat(): void {
    if (this.#unanswered === MISSED_LIMIT) this.#stalled();
    this.#unanswered += 1;
    this.#send({ type: "client_ping", ping_id: this.#nextId++, time_client_ms: performance.now() });
  }
}
