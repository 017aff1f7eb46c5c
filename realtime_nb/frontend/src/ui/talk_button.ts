import type { Scope } from "../core/scope.ts";
import type { Signal } from "../core/signal.ts";
import { button, setLabel } from "./dom.ts";

const WORDS = {
  idle: "Hold to talk",
  opening: "Opening microphone…",
  talking: "Listening · release to send",
  ending: "Sending…",
} as const;

export interface TalkSource {
  phase: Signal<keyof typeof WORDS>;
  press(): void;
  release(): void;
}

/** Push-to-talk for pointer and keyboard; a lost pointer, a lost focus or a hidden page count as release. */
export function talkButton(scope: Scope, talk: TalkSource): HTMLButtonElement {
  const element = button(WORDS.idle, {
    icon: "microphone",
    kind: "primary",
    title: "Hold with the pointer, or with Space or Enter while focused",
  });
  element.classList.add("rnb-talk");
  let held = false;
  const press = (): void => {
    if (held || element.disabled) return;
    held = true;
    talk.press();
  };
  const release = (): void => {
    if (!held) return;
    held = false;
    talk.release();
  };
  scope.listen<PointerEvent>(element, "pointerdown", (event) => {
    if (event.button !== 0) return;
    element.setPointerCapture?.(event.pointerId);
    press();
  });
  for (const type of ["pointerup", "pointercancel", "lostpointercapture", "blur"]) scope.listen(element, type, release);
  scope.listen(element, "contextmenu", (event) => event.preventDefault());
  scope.listen<KeyboardEvent>(element, "keydown", (event) => {
    if (event.key !== " " && event.key !== "Enter") return;
    event.preventDefault();
    event.stopPropagation();
    if (!event.repeat) press();
  });
  scope.listen<KeyboardEvent>(element, "keyup", (event) => {
    if (event.key !== " " && event.key !== "Enter") return;
    event.preventDefault();
    release();
  });
  scope.listen(document, "visibilitychange", () => {
    if (document.hidden) release();
  });
  scope.add(release);
  talk.phase.watch(scope, (phase) => {
    setLabel(element, WORDS[phase]);
    element.dataset["phase"] = phase;
    element.setAttribute("aria-pressed", String(phase === "talking"));
  });
  return element;
}
