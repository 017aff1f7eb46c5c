import { beforeEach, expect, it, vi } from "vitest";
import type { ToolCallRow, TranscriptEntry } from "../src/core/messages.gen.ts";
import type { Signal } from "../src/core/signal.ts";
import { approvals } from "../src/ui/approvals.ts";
import { argumentsInLine, callNote, formatDuration } from "../src/ui/tool_call.ts";
import { transcript, type TranscriptRow } from "../src/ui/transcript.ts";
import { StudioState } from "../src/widgets/studio_state.ts";
import { scope } from "./page.ts";

let state: StudioState;
beforeEach(() => {
  state = new StudioState();
});

function call(change: Partial<ToolCallRow> = {}): ToolCallRow {
  return {
    call_id: "call_1",
    item_id: "item_1",
    name: "place_order",
    arguments: '{"size":"large","count":2}',
    status: "waiting_for_approval",
    output: "",
    error: "",
    duration_ms: null,
    ...change,
  };
}

const tell = (...calls: ToolCallRow[]): void => state.receive({ type: "tool_calls", calls });

it("asks for approval with name and arguments, and passes the decision on once", async () => {
  let settle: () => void = () => {};
  const decide = vi.fn(() => new Promise<void>((resolve) => (settle = resolve)));
  const area = approvals(scope, state.waiting, decide);
  document.body.append(area);
  expect(area.hidden).toBe(true);
  tell(call());
  expect(area.hidden).toBe(false);
  const card = area.querySelector<HTMLElement>('[role="group"]');
  expect(card?.getAttribute("aria-label")).toBe("May the assistant run place_order?");
  expect([...area.querySelectorAll("dt, dd")].map((each) => each.textContent)).toEqual(["size", "large", "count", "2"]);
  const [approve, refuse] = [...area.querySelectorAll("button")];
  expect([approve?.textContent, refuse?.textContent]).toEqual(["Approve", "Refuse"]);
  refuse?.click();
  refuse?.click();
  approve?.click();
  expect(decide.mock.calls).toEqual([["call_1", false]]);
  settle();
  await Promise.resolve();
  await Promise.resolve();
  expect(approve?.disabled).toBe(false);
});

it.each(["running", "completed", "failed", "timed_out", "declined", "cancelled"] as const)(
  "takes the card away when the call is %s, wherever that was decided",
  (status) => {
    const area = approvals(scope, state.waiting, vi.fn());
    document.body.append(area);
    tell(call(), call({ call_id: "call_2", item_id: "item_2" }));
    const cards = (): NodeListOf<Element> => area.querySelectorAll(".rnb-approval");
    const kept = cards()[1];
    cards()[0]?.querySelector("button")?.focus();
    tell(call({ status }));
    expect([...cards()]).toEqual([kept]);
    expect(kept?.contains(document.activeElement)).toBe(true);
    tell(call({ call_id: "call_2", item_id: "item_2", status }));
    expect(area.hidden).toBe(true);
  },
);

it("forgets what waited when another session begins", () => {
  tell(call());
  const session = state.session.value;
  state.receive({ ...session, state: "failed" });
  state.receive({ ...session, state: "connecting" });
  expect(state.waiting.value).toEqual([]);
});

it("shows a call in the transcript: name, arguments, result or error, duration", () => {
  const element = transcript(scope, state.transcript as Signal<TranscriptRow[]>, state.calls);
  const entry: TranscriptEntry = {
    item_id: "item_1",
    order: 1,
    role: "tool",
    text: "place_order({})",
    final: true,
    heard_characters: null,
    status: "",
  };
  state.receive({ type: "transcript_update", entries: [entry] });
  const text = (selector: string): string => element.querySelector<HTMLElement>(selector)?.textContent ?? "";
  expect(text(".rnb-line-text")).toBe("place_order({})");
  tell(call());
  expect(text(".rnb-line-text")).toBe("place_order size: large, count: 2");
  expect(text(".rnb-line-note")).toBe("waits for approval");
  expect(element.querySelector<HTMLElement>(".rnb-tool-result")?.hidden).toBe(true);
  tell(call({ status: "completed", output: '{"number":7}', duration_ms: 12.4 }));
  expect(text(".rnb-tool-result")).toBe('→ {"number":7}');
  expect(text(".rnb-line-note")).toBe("12 ms");
  tell(call({ status: "failed", error: "ValueError: sold out", output: "{}", duration_ms: 1234 }));
  expect(text(".rnb-tool-result")).toBe("ValueError: sold out");
  expect(element.querySelector<HTMLElement>(".rnb-tool-result")?.dataset["error"]).toBe("true");
  expect(text(".rnb-line-note")).toBe("failed · 1.2 s");
});

it("says how a call went in few words", () => {
  expect(callNote(call({ status: "declined", duration_ms: 0 }))).toBe("refused");
  expect(callNote(call({ status: "timed_out", duration_ms: 30_000 }))).toBe("timed out · 30.0 s");
  expect(formatDuration(0.2)).toBe("< 1 ms");
  expect(argumentsInLine("")).toBe("");
  expect(argumentsInLine("not json")).toBe("not json");
  expect(argumentsInLine('{"a":{"b":1},"c":"d"}')).toBe('a: {"b":1}, c: d');
});
