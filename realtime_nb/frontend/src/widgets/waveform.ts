import { Scope } from "../core/scope.ts";
import { StaticWaveform } from "../ui/static_waveform.ts";
import { fitWidth } from "./fit_width.ts";
import { widgetModule } from "./mount.ts";
import { bindWaveform } from "./waveform_traits.ts";

/** A waveform from traits alone: works in saved notebooks without a kernel. */
export default widgetModule(
  () => ({ scope: new Scope() }),
  (_owner, root, scope, model) => {
    root.classList.add("rnb-card");
    const waveform = new StaticWaveform(scope, "Waveform");
    root.append(bindWaveform(scope, model, waveform), waveform.element);
    fitWidth(scope, root);
  },
);
