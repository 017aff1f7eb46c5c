import { SAMPLES_PER_MS } from "../audio/pcm.ts";
import { button, h, setLabel, setText } from "../ui/dom.ts";
import { notices } from "../ui/notices.ts";
import { formatDuration, StaticWaveform } from "../ui/static_waveform.ts";
import { banners } from "./banners.ts";
import { fitWidth } from "./fit_width.ts";
import { LinkModel } from "./link_model.ts";
import { widgetModule } from "./mount.ts";
import { bindWaveform } from "./waveform_traits.ts";

/** Plays the clip of the kernel; the position is what was really rendered. */
export default widgetModule(
  (model) => new LinkModel(model),
  (owner, root, scope, model) => {
    owner.addView(scope);
    owner.unlockOnGesture(scope, root);
    root.classList.add("rnb-card");
    const { player } = owner.media;
    const waveform = new StaticWaveform(scope, "Waveform");
    const play = button("Play", { icon: "play", kind: "primary" });
    const stop = button("Stop", { icon: "stop" });
    const position = h("span", { class: "rnb-count", role: "timer" }, formatDuration(0));
    scope.listen(play, "click", () => void owner.run("play"));
    scope.listen(stop, "click", () => void owner.media.flushAll().then(() => owner.run("stop")));
    player.rendered.subscribe(scope, ({ renderedSamples, drained }) => {
      const positionMs = renderedSamples / SAMPLES_PER_MS;
      setText(position, formatDuration(positionMs));
      waveform.update({ positionMs: drained ? null : positionMs });
    });
    const update = (): void => {
      const open = owner.link.status.value.phase === "open" && owner.state.active.value;
      play.disabled = !open;
      stop.disabled = !player.playing.value;
      setLabel(play, player.playing.value ? "Play again" : "Play");
      if (!player.playing.value) waveform.update({ positionMs: null });
    };
    owner.link.status.subscribe(scope, update);
    owner.state.active.subscribe(scope, update);
    player.playing.subscribe(scope, update);
    update();
    root.append(
      banners(scope, owner),
      notices(scope, owner.state.notices, (key) => owner.state.dismiss(key)),
      bindWaveform(scope, model, waveform),
      waveform.element,
      h("div", { class: "rnb-row" }, play, stop, position),
    );
    fitWidth(scope, root);
  },
);
