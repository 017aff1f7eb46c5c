import { afterEach, beforeEach, expect, vi } from "vitest";
import type { EventRow } from "../src/core/messages.gen.ts";
import { Scope } from "../src/core/scope.ts";

class NoObserver {
  observe(): void {}
  disconnect(): void {}
}

/** Owns what a test makes; nothing may be left after it. */
export let scope: Scope;

/** Each test gets an empty page whose timers are advanced by hand. */
beforeEach(() => {
  vi.useFakeTimers();
  vi.stubGlobal("ResizeObserver", NoObserver);
  vi.stubGlobal("IntersectionObserver", NoObserver);
  document.body.replaceChildren();
  scope = new Scope();
});
afterEach(() => {
  scope.dispose();
  expect(scope.size).toBe(0);
  vi.useRealTimers();
  vi.unstubAllGlobals();
});

export function eventRow(sequence: number, change: Partial<EventRow> = {}): EventRow {
  return {
    sequence,
    time_ms: sequence * 10,
    direction: "received",
    event_type: "response.created",
    summary: "",
    payload: '{"type":"x"}',
    audio_ms: null,
    audio_bytes: 0,
    response_id: "",
    item_id: "",
    ...change,
  };
}
