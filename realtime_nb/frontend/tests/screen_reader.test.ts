import { expect, it, vi } from "vitest";
import type { CommandResult, TranscriptEntry } from "../src/core/messages.gen.ts";
import { inspector } from "../src/ui/inspector.ts";
import { notices } from "../src/ui/notices.ts";
import { transcript } from "../src/ui/transcript.ts";
import { EventStore } from "../src/widgets/event_store.ts";
import { StudioState } from "../src/widgets/studio_state.ts";
import { eventRow, scope } from "./page.ts";

const settle = async (): Promise<void> => void (await vi.advanceTimersByTimeAsync(50));

/** What a screen reader says by itself while `act` runs: text that changes in a live region. */
async function said(root: HTMLElement, act: () => void): Promise<string[]> {
  const found: string[] = [];
  const stop = scope.mutations(root, { subtree: true, childList: true }, (changes) => {
    for (const { target, addedNodes } of changes) {
      const region = (target as Element).closest("[aria-live], [role=status], [role=alert]");
      if (!region || region.getAttribute("aria-live") === "off") continue;
      for (const node of addedNodes) if (node.textContent) found.push(node.textContent);
    }
  });
  act();
  await settle();
  stop();
  return found;
}

it("hears of complete lines only, of each once, and of nothing from before", async () => {
  const state = new StudioState();
  let order = 0;
  const tell = (item_id: string, text: string, final: boolean, change: Partial<TranscriptEntry> = {}): void =>
    state.receive({
      type: "transcript_update",
      entries: [{ item_id, order: order++, role: "user", text, final, heard_characters: null, status: "", ...change }],
    });
  tell("old", "long ago", true);
  const element = transcript(scope, state.transcript, state.calls);
  document.body.append(element);
  const heard = await said(element, () => {
    tell("a", "where", false);
    tell("a", "where is", false);
    tell("a", "where is it?", true);
    tell("b", "There", false, { role: "assistant" });
    tell("b", "There it is.", true, { role: "assistant" });
    tell("b", "There it is.", true, { role: "assistant", heard_characters: 5 });
  });
  expect(heard).toEqual(["You: where is it?", "Assistant: There it is."]);
  await vi.advanceTimersByTimeAsync(5000);
  expect(element.querySelector('[aria-live="polite"]')?.textContent).toBe("");
});

it("is not told each event, but what a filter finds", async () => {
  const store = new EventStore();
  const element = inspector(scope, { events: store, run: vi.fn(), playAudio: vi.fn() });
  document.body.append(element);
  const streaming = await said(element, () => store.add([eventRow(1), eventRow(2, { direction: "sent" })], 0));
  expect(streaming).toEqual([]);
  const buttons = [...element.querySelectorAll("button")];
  const filtered = await said(element, () => buttons.find(({ textContent }) => textContent === "↑ Sent")?.click());
  expect(filtered).toEqual(["1 of 2 events"]);
});

it("is told a notice once, and keeps its place when one is dismissed", async () => {
  const state = new StudioState();
  const element = notices(scope, state.notices, (key) => state.dismiss(key));
  document.body.append(element);
  const dismiss = (): HTMLButtonElement[] => [...element.querySelectorAll("button")];
  const first = await said(element, () => state.notify("error", "No sound."));
  expect(first).toEqual(["ProblemNo sound."]);
  const second = await said(element, () => state.notify("warning", "Slow."));
  expect(second).toEqual(["WarningSlow."]);
  dismiss()[0]?.focus();
  dismiss()[0]?.click();
  expect(element.textContent).toBe("WarningSlow.");
  expect(document.activeElement).toBe(dismiss()[0]);
});

it("is not told again what was dismissed when the same state comes again", () => {
  const state = new StudioState();
  const failed = { ...state.session.value, state: "failed", error: "Wrong key." } as const;
  state.receive(failed);
  state.dismiss("session");
  state.receive({ ...failed, recording: { folder: "r", state: "ended", problem: "" } });
  expect(state.notices.value).toEqual([]);
  state.receive({ ...failed, error: "No network." });
  expect(state.notices.value.map(({ message }) => message)).toEqual(["No network."]);
});

it("is back in the list when an opened event is closed", async () => {
  const store = new EventStore();
  store.add([eventRow(1)], 0);
  const answer = { type: "command_result", id: 1, ok: false, result: {}, error: "gone", what_now: "" } as CommandResult;
  const element = inspector(scope, { events: store, run: () => Promise.resolve(answer), playAudio: vi.fn() });
  document.body.append(element);
  await settle();
  for (const end of [
    (detail: Element) => detail.querySelector<HTMLElement>('[aria-label="Close"]')?.click(),
    (detail: Element) => detail.dispatchEvent(Object.assign(new Event("keydown"), { key: "Escape" })),
  ]) {
    element.querySelector<HTMLElement>(".rnb-event")?.click();
    const detail = element.querySelector<HTMLElement>(".rnb-detail") as HTMLElement;
    expect(detail.hidden).toBe(false);
    detail.querySelector("pre")?.focus();
    end(detail);
    expect(detail.hidden).toBe(true);
    expect(document.activeElement).toBe(element.querySelector(".rnb-list"));
  }
});

