import type { Scope } from "../core/scope.ts";
import { Signal } from "../core/signal.ts";
import { approvals } from "../ui/approvals.ts";
import { controls } from "../ui/controls.ts";
import { h } from "../ui/dom.ts";
import { header } from "../ui/header.ts";
import { inspector } from "../ui/inspector.ts";
import { lanes } from "../ui/lanes.ts";
import { notices } from "../ui/notices.ts";
import { transcript } from "../ui/transcript.ts";
import { banners } from "./banners.ts";
import { EventAudio } from "./event_audio.ts";
import { watchTrait, widgetModule } from "./mount.ts";
import { StudioModel } from "./studio_model.ts";

const NARROW_PX = 720;
const MEDIUM_PX = 1120;
const PROJECTOR_PX = 1600;

export default widgetModule(
  (model) => new StudioModel(model),
  (studio, root, scope, model) => {
    const { state, media, link } = studio;
    studio.addView(scope);
    root.classList.add("rnb-studio");
    const { usable, connected } = abilities(scope, studio);
    const eventAudio = new EventAudio(scope, studio.commands);
    root.append(
      header(scope, {
        session: state.session,
        measured: state.measured,
        link,
        toggleConnection: () => void studio.run(connected.value ? "disconnect" : "connect"),
      }),
      banners(scope, studio),
      notices(scope, state.notices, (key) => state.dismiss(key)),
      approvals(scope, state.waiting, (callId, approved) => studio.decide(callId, approved)),
      lanes(scope, { tracks: media.tracks, moved: media.moved, regions: state.regions, measured: state.measured }),
      controls(scope, {
        talk: studio.talk,
        microphone: media.microphone.phase,
        clips: state.clips,
        uploading: studio.uploading,
        usable,
        connected,
        toggleOpenMicrophone: () => void studio.toggleOpenMicrophone(),
        interrupt: () => void studio.interrupt(),
        playClip: (clipId) => void studio.say("play_clip", { clip_id: clipId }),
        upload: (file) => void studio.upload(file),
        say: (text) => studio.say("say_text", { text }),
      }),
      h(
        "div",
        { class: "rnb-columns" },
        transcript(scope, state.transcript, state.calls),
        inspector(scope, {
          events: state.events,
          run: (name, args) => studio.commands.run(name, args),
          playAudio: (events) => eventAudio.play(events.map(({ sequence }) => sequence)),
        }),
      ),
    );
    studio.unlockOnGesture(scope, root);
    watchTrait(scope, model, "height_px", (value) => {
      root.style.setProperty("--rnb-height", `${typeof value === "number" && value > 0 ? value : 720}px`);
    });
    scope.resize(root, ({ contentRect }) => {
      root.classList.toggle("rnb-narrow", contentRect.width < NARROW_PX);
      root.classList.toggle("rnb-medium", contentRect.width >= NARROW_PX && contentRect.width < MEDIUM_PX);
      root.classList.toggle("rnb-projector", contentRect.width >= PROJECTOR_PX);
    });
  },
);

function abilities(scope: Scope, studio: StudioModel): { usable: Signal<boolean>; connected: Signal<boolean> } {
  const usable = new Signal(false);
  const connected = new Signal(false);
  const update = (): void => {
    usable.set(studio.link.status.value.phase === "open" && studio.state.active.value);
    connected.set(["connected", "connecting", "reconnecting"].includes(studio.state.session.value.state));
  };
  studio.link.status.subscribe(scope, update);
  studio.state.active.subscribe(scope, update);
  studio.state.session.subscribe(scope, update);
  update();
  return { usable, connected };
}
