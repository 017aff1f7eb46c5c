import type { TranscriptEntry } from "../core/messages.gen.ts";
import type { Scope } from "../core/scope.ts";
import type { Signal } from "../core/signal.ts";
import { h, setText } from "./dom.ts";

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

interface Line {
  element: HTMLElement;
  heard: HTMLElement;
  unheard: HTMLElement;
  note: HTMLElement;
}

/** Captions of both sides, always on; follows the newest line unless the reader scrolled up. */
export function transcript(scope: Scope, rows: Signal<TranscriptRow[]>): HTMLElement {
  const empty = h("p", { class: "rnb-empty" }, "What you and the assistant say appears here.");
  const list = h("ol", { class: "rnb-lines" });
  const scroller = h("div", { class: "rnb-scroller", tabindex: 0, role: "log", "aria-live": "polite", "aria-relevant": "additions text", "aria-label": "Transcript" }, empty, list);
  const lines = new Map<string, Line>();

  rows.watch(scope, (entries) => {
    const atEnd = scroller.scrollHeight - scroller.scrollTop - scroller.clientHeight < 48;
    empty.hidden = entries.length > 0;
    const kept = new Set<string>();
    let previous: Element | null = null;
    for (const entry of entries) {
      const key = `${entry.epoch}:${entry.item_id}`;
      kept.add(key);
      let line = lines.get(key);
      if (!line) {
        line = createLine(entry);
        lines.set(key, line);
      }
      updateLine(line, entry);
      const wanted: Element | null = previous ? previous.nextElementSibling : list.firstElementChild;
      if (wanted !== line.element) list.insertBefore(line.element, wanted);
      previous = line.element;
    }
    for (const [key, line] of lines) {
      if (kept.has(key)) continue;
      line.element.remove();
      lines.delete(key);
    }
    if (atEnd) scroller.scrollTop = scroller.scrollHeight;
  });
  return h("section", { class: "rnb-panel rnb-transcript", "aria-label": "Transcript" }, h("h2", { class: "rnb-panel-title" }, "Transcript"), scroller);
}

function createLine(entry: TranscriptRow): Line {
  const heard = h("span", {});
  const unheard = h("s", { class: "rnb-unheard", title: "Not heard: the reply was interrupted here" });
  const note = h("small", { class: "rnb-line-note" });
  const body = h("p", { class: "rnb-line-body" }, h("span", { class: "rnb-line-text" }, heard, unheard), note);
  const element = h(
    "li",
    { class: "rnb-line", "data-role": entry.role },
    h("span", { class: "rnb-line-speaker" }, SPEAKERS[entry.role]),
    body,
  );
  return { element, heard, unheard, note };
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
