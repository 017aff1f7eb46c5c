import type { ToolCallRow, TranscriptEntry } from "../core/messages.gen.ts";
import type { Scope } from "../core/scope.ts";
import type { Signal } from "../core/signal.ts";
import { h, setText } from "./dom.ts";
import { argumentsInLine, callNote } from "./tool_call.ts";

export interface TranscriptRow extends TranscriptEntry {
  epoch: number;
}

const SPEAKERS: Record<TranscriptEntry["role"], string> = {
  user: "You",
  assistant: "Assistant",
  system: "System",
  tool: "Tool",
};

/** Text split where the listener stopped hearing; the space between belongs to what was heard, it is not struck through. */
export function splitHeard(text: string, heardCharacters: number | null): [heard: string, unheard: string] {
  if (heardCharacters === null) return [text, ""];
  const characters = [...text];
  const unheard = characters.slice(heardCharacters).join("");
  const space = unheard.length - unheard.trimStart().length;
  return [characters.slice(0, heardCharacters).join("") + unheard.slice(0, space), unheard.slice(space)];
}

/** What a screen reader did not get to by then is left to the transcript itself. */
const LINES_TOLD = 3;
const TOLD_FOR_MS = 4000;

interface Line {
  element: HTMLElement;
  heard: HTMLElement;
  unheard: HTMLElement;
  note: HTMLElement;
  toolName: HTMLElement;
  toolResult: HTMLElement;
}

/**
 * Captions of both sides and the tools between them, always on; follows the newest line unless the reader scrolled up.
 * Calls are found by `epoch:item_id`.
 */
export function transcript(scope: Scope, rows: Signal<TranscriptRow[]>, calls: Signal<ReadonlyMap<string, ToolCallRow>>): HTMLElement {
  const empty = h("p", { class: "rnb-empty" }, "What you and the assistant say appears here.");
  const list = h("ol", { class: "rnb-lines" });
  const scroller = h("div", { class: "rnb-scroller", tabindex: 0, role: "log", "aria-live": "off", "aria-label": "Transcript" }, empty, list);
  const lines = new Map<string, Line>();
  let following = true;
  const toEnd = (): void => {
    if (following) scroller.scrollTop = scroller.scrollHeight;
  };
  scope.listen(scroller, "scroll", () => {
    if (scroller.clientHeight > 0) following = scroller.scrollHeight - scroller.scrollTop - scroller.clientHeight < 48;
  });
  scope.resize(scroller, toEnd);

  const show = (entries: TranscriptRow[]): void => {
    empty.hidden = entries.length > 0;
    const kept = new Set<string>();
    let previous: Element | null = null;
    for (const entry of entries) {
      const key = keyOf(entry);
      kept.add(key);
      let line = lines.get(key);
      if (!line) {
        line = createLine(entry);
        lines.set(key, line);
      }
      const call = entry.role === "tool" ? calls.value.get(key) : undefined;
      if (call) updateCall(line, entry, call);
      else updateLine(line, entry);
      const wanted: Element | null = previous ? previous.nextElementSibling : list.firstElementChild;
      if (wanted !== line.element) list.insertBefore(line.element, wanted);
      previous = line.element;
    }
    for (const [key, line] of lines) {
      if (kept.has(key)) continue;
      line.element.remove();
      lines.delete(key);
    }
    toEnd();
  };
  rows.watch(scope, show);
  calls.subscribe(scope, () => show(rows.value));
  return h("section", { class: "rnb-panel rnb-transcript", "aria-label": "Transcript" }, h("h2", { class: "rnb-panel-title" }, "Transcript"), scroller, completeLines(scope, rows));
}

/** What a screen reader says: complete lines, not each word on its way; and nothing of what was there before. */
function completeLines(scope: Scope, rows: Signal<TranscriptRow[]>): HTMLElement {
  const told = h("div", { class: "rnb-sr", "aria-live": "polite" });
  const complete = (): TranscriptRow[] => rows.value.filter(({ final, text }) => final && text);
  let known = new Set(complete().map(keyOf));
  rows.subscribe(scope, () => {
    const now = complete();
    const fresh = now.filter((entry) => !known.has(keyOf(entry))).slice(-LINES_TOLD);
    known = new Set(now.map(keyOf));
    for (const { role, text } of fresh) {
      const line = h("p", { dir: "auto" }, `${SPEAKERS[role]}: ${text}`);
      told.append(line);
      scope.timeout(() => line.remove(), TOLD_FOR_MS);
    }
  });
  return told;
}

function keyOf({ epoch, item_id: itemId }: TranscriptRow): string {
  return `${epoch}:${itemId}`;
}

function createLine(entry: TranscriptRow): Line {
  const heard = h("span", {});
  const unheard = h("s", { class: "rnb-unheard", title: "Not heard: the reply was interrupted here" });
  const note = h("small", { class: "rnb-line-note" });
  const toolName = h("code", { class: "rnb-tool-name", hidden: true });
  const toolResult = h("span", { class: "rnb-tool-result", hidden: true });
  const body = h("p", { class: "rnb-line-body" }, h("span", { class: "rnb-line-text", dir: "auto" }, toolName, heard, unheard), note, toolResult);
  const element = h(
    "li",
    { class: "rnb-line", "data-role": entry.role },
    h("span", { class: "rnb-line-speaker" }, SPEAKERS[entry.role]),
    body,
  );
  return { element, heard, unheard, note, toolName, toolResult };
}

function updateCall(line: Line, entry: TranscriptRow, call: ToolCallRow): void {
  setText(line.toolName, call.name);
  line.toolName.hidden = false;
  const given = argumentsInLine(call.arguments);
  line.heard.classList.add("rnb-tool-arguments");
  setText(line.heard, given && ` ${given}`);
  line.unheard.hidden = true;
  setText(line.toolResult, call.error || (call.status === "completed" ? `→ ${call.output}` : ""));
  line.toolResult.hidden = line.toolResult.textContent === "";
  line.toolResult.dataset["error"] = String(call.error !== "");
  setText(line.note, callNote(call));
  line.note.hidden = line.note.textContent === "";
  line.element.dataset["final"] = String(entry.final);
  line.element.dataset["status"] = call.status;
}

function updateLine(line: Line, entry: TranscriptRow): void {
  const [heard, unheard] = splitHeard(entry.text, entry.heard_characters);
  setText(line.heard, heard || (entry.final || unheard ? heard : "…"));
  setText(line.unheard, unheard);
  line.unheard.hidden = unheard === "";
  setText(line.note, unheard ? "interrupted" : noteOf(entry));
  line.note.hidden = line.note.textContent === "";
  line.element.dataset["final"] = String(entry.final);
}

function noteOf({ status, role }: TranscriptRow): string {
  const quiet = ["", "completed", "in_progress", role];
  return quiet.includes(status) ? "" : status.replaceAll("_", " ");
}
