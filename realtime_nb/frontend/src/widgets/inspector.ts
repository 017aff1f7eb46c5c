import { inspector } from "../ui/inspector.ts";
import { banners } from "./banners.ts";
import { EventAudio } from "./event_audio.ts";
import { fitWidth } from "./fit_width.ts";
import { LinkModel } from "./link_model.ts";
import { watchTrait, widgetModule } from "./mount.ts";

/** The event inspector on its own. */
export default widgetModule(
  (model) => new LinkModel(model),
  (owner, root, scope, model) => {
    owner.addView(scope);
    root.classList.add("rnb-card", "rnb-inspector-alone");
    const audio = new EventAudio(scope, owner.commands);
    root.append(
      banners(scope, owner),
      inspector(scope, {
        events: owner.state.events,
        run: (name, args) => owner.commands.run(name, args),
        playAudio: (events) => audio.play(events.map(({ sequence }) => sequence)),
      }),
    );
    fitWidth(scope, root);
    watchTrait(scope, model, "height_px", (value) => {
      root.style.setProperty("--rnb-height", `${typeof value === "number" && value > 0 ? value : 420}px`);
    });
  },
);
