import type { MicrophonePhase } from "../audio/microphone.ts";
import type { ClipEntry } from "../core/messages.gen.ts";
import type { Scope } from "../core/scope.ts";
import type { Signal } from "../core/signal.ts";
import { button, h, icon, setLabel } from "./dom.ts";
import { talkButton, type TalkSource } from "./talk_button.ts";

export interface ControlsSource {
  talk: TalkSource;
  microphone: Signal<MicrophonePhase>;
  clips: Signal<ClipEntry[]>;
  uploading: Signal<string>;
  /** The user may act: link up, this view active. */
  usable: Signal<boolean>;
  /** A session is there; without one the first thing said connects. */
  connected: Signal<boolean>;
  toggleOpenMicrophone(): void;
  interrupt(): void;
  playClip(clipId: string): void;
  upload(file: File): void;
  /** Resolves false when it could not be said. */
  say(text: string): Promise<boolean>;
}

/** Every way to say something, and the one to stop. */
export function controls(scope: Scope, source: ControlsSource): HTMLElement {
  const talk = talkButton(scope, source.talk);
  const open = button("Open microphone", { icon: "microphone", title: "Speak freely; the server finds your turns" });
  open.setAttribute("aria-pressed", "false");
  const stop = button("Stop", { icon: "stop", title: "Stop the reply now" });
  stop.classList.add("rnb-stop");
  scope.listen(open, "click", () => source.toggleOpenMicrophone());
  scope.listen(stop, "click", () => source.interrupt());

  const clip = clipMenu(scope, source);
  const file = filePicker(scope, source);
  const text = textBox(scope, source);
  const speak = h("div", { class: "rnb-controls-speak" }, talk, open, stop);

  const update = (): void => {
    const ready = source.usable.value;
    const phase = source.microphone.value;
    const talking = source.talk.phase.value !== "idle";
    const openMode = phase !== "closed" && !talking;
    talk.disabled = !ready || openMode;
    open.disabled = !ready || talking;
    open.setAttribute("aria-pressed", String(openMode));
    open.dataset["phase"] = openMode ? phase : "closed";
    setLabel(open, openMode ? (phase === "opening" ? "Opening microphone…" : "Close microphone") : "Open microphone");
    stop.disabled = !ready || !source.connected.value;
    clip.disable(!ready);
    file.disable(!ready || source.uploading.value !== "");
    text.disable(!ready);
  };
  for (const signal of [source.usable, source.connected, source.microphone, source.talk.phase, source.uploading]) {
    (signal as Signal<unknown>).subscribe(scope, update);
  }
  source.clips.subscribe(scope, update);
  update();
  return h(
    "section",
    { class: "rnb-controls", "aria-label": "Speak, play or type" },
    speak,
    h("div", { class: "rnb-controls-material" }, clip.element, file.element),
    text.element,
  );
}

interface Part {
  element: HTMLElement;
  disable(disabled: boolean): void;
}

function clipMenu(scope: Scope, source: ControlsSource): Part {
  const select = h("select", { class: "rnb-select", "aria-label": "Sample clip" });
  const play = button("Say the clip", { icon: "play", iconOnly: true, title: "Speak this clip to the model" });
  scope.listen(play, "click", () => {
    if (select.value) source.playClip(select.value);
  });
  source.clips.watch(scope, (clips) => {
    const chosen = select.value;
    select.replaceChildren(
      ...clips.map(({ clip_id, title, duration_ms, origin }) =>
        h("option", { value: clip_id, title: origin }, `${title} (${(duration_ms / 1000).toFixed(1)} s)`),
      ),
    );
    if (clips.length === 0) select.append(h("option", { value: "" }, "No sample clips"));
    else if (clips.some(({ clip_id }) => clip_id === chosen)) select.value = chosen;
  });
  return {
    element: h("div", { class: "rnb-joined" }, select, play),
    disable(disabled) {
      select.disabled = disabled;
      play.disabled = disabled || source.clips.value.length === 0;
    },
  };
}

function filePicker(scope: Scope, source: ControlsSource): Part {
  const input = h("input", { type: "file", accept: "audio/*,.wav,.flac,.ogg,.mp3", hidden: true, tabindex: -1 });
  const pick = button("Audio file…", { icon: "upload", title: "Speak an audio file to the model (WAV, FLAC, OGG, MP3)" });
  scope.listen(pick, "click", () => input.click());
  scope.listen(input, "change", () => {
    const file = input.files?.[0];
    input.value = "";
    if (file) source.upload(file);
  });
  source.uploading.subscribe(scope, (name) => setLabel(pick, name ? "Sending file…" : "Audio file…"));
  return {
    element: h("div", { class: "rnb-upload" }, pick, input),
    disable(disabled) {
      pick.disabled = disabled;
    },
  };
}

function textBox(scope: Scope, source: ControlsSource): Part {
  const input = h("input", {
    class: "rnb-input",
    type: "text",
    placeholder: "Type to the assistant",
    "aria-label": "Message to the assistant",
    autocomplete: "off",
    maxlength: 8000,
  });
  const send = button("Send", { iconOnly: true });
  send.append(icon("send"));
  const form = h("form", { class: "rnb-joined rnb-say" }, input, send);
  send.type = "submit";
  scope.listen(form, "submit", (event) => {
    event.preventDefault();
    const text = input.value.trim();
    if (!text || send.disabled) return;
    input.value = "";
    void source.say(text).then((said) => {
      if (!said && !input.value) input.value = text;
    });
  });
  scope.listen<KeyboardEvent>(input, "keydown", (event) => event.stopPropagation());
  return {
    element: form,
    disable(disabled) {
      send.disabled = disabled;
      input.disabled = disabled;
    },
  };
}
