const FORGET_MS_PER_UPDATE = 0.02;

/** Context seconds → `performance.now()`: the smallest delay ever seen wins, slowly forgotten so that drift is followed. */
export class ClockMap {
  #offsetMs = Infinity;

  /** `contextSeconds` was read just before `nowMs` was; returns the performance time of that instant. */
  toPerformanceMs(contextSeconds: number, nowMs = performance.now()): number {
    const offsetMs = nowMs - contextSeconds * 1000;
    this.#offsetMs = Math.min(offsetMs, this.#offsetMs + FORGET_MS_PER_UPDATE);
    return contextSeconds * 1000 + this.#offsetMs;
  }
}
