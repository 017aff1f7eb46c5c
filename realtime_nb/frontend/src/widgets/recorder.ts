import { PeakAccumulator, PEAK_MS } from "../audio/peak_track.ts";
import { SAMPLES_PER_MS } from "../audio/pcm.ts";
import type { Model } from "../core/anywidget.ts";
import { Signal } from "../core/signal.ts";
import { button, h, setLabel, setText } from "../ui/dom.ts";
import { levelDb, Meter } from "../ui/meter.ts";
import { notices } from "../ui/notices.ts";
import { formatDuration, StaticWaveform } from "../ui/static_waveform.ts";
import { banners } from "./banners.ts";
import { fitWidth } from "./fit_width.ts";
import { LinkModel } from "./link_model.ts";
import { widgetModule } from "./mount.ts";

interface Take {
  peaks: PeakAccumulator;
  samples: number;
}

/** A take goes to the kernel frame by frame; the page keeps only its peaks. */
class RecorderModel extends LinkModel {
  readonly take = new Signal<Take>({ peaks: new PeakAccumulator(), samples: 0 });
  readonly recording = new Signal(false);
  /** Whether the button began this take; the kernel ends its own. */
  #asked = false;

  constructor(model: Model) {
    super(model);
    const { microphone } = this.media;
    microphone.frames.subscribe(this.scope, ({ frame }) => {
      if (!this.recording.value) return;
      const take = this.take.value;
      take.peaks.push(frame);
      take.samples += frame.length;
      this.take.notify();
    });
    microphone.phase.subscribe(this.scope, (phase) => {
      if (phase === "live") this.#begin();
      if (phase === "closed" && this.recording.value) void this.stop();
    });
  }

  async start(): Promise<void> {
    if (this.recording.value) return;
    this.#asked = true;
    if (!(await this.media.microphone.open())) {
      this.#asked = false;
      return;
    }
    const result = await this.run("record_start");
    if (!result.ok) this.media.microphone.close();
  }

  async stop(): Promise<void> {
    if (!this.recording.value) return;
    this.recording.set(false);
    this.media.microphone.close();
    if (!this.#asked) return;
    this.#asked = false;
    await this.run("record_stop");
  }

  /** The microphone is live: by the button, or because a cell awaits `record()`. */
  #begin(): void {
    if (this.recording.value) return;
    this.take.set({ peaks: new PeakAccumulator(), samples: 0 });
    this.recording.set(true);
  }
}

export default widgetModule(
  (model) => new RecorderModel(model),
  (owner, root, scope) => {
    owner.addView(scope);
    root.classList.add("rnb-card");
    const record = button("Record", { icon: "record", kind: "primary" });
    record.classList.add("rnb-record");
    const meter = new Meter("Input level");
    const duration = h("span", { class: "rnb-count", role: "timer" });
    const waveform = new StaticWaveform(scope, "Waveform of the take");
    scope.listen(record, "click", () => void (owner.recording.value ? owner.stop() : owner.start()));
    owner.take.watch(scope, ({ peaks, samples }) => {
      const durationMs = samples / SAMPLES_PER_MS;
      setText(duration, formatDuration(durationMs));
      waveform.update({ peaks: peaks.between(0, samples), durationMs: Math.max(durationMs, PEAK_MS) });
    });
    owner.media.microphone.frames.subscribe(scope, ({ frame }) => meter.show(levelDb(frame)));
    const update = (): void => {
      const opening = owner.media.microphone.phase.value === "opening";
      setLabel(record, owner.recording.value ? "Stop" : opening ? "Opening microphone…" : "Record");
      record.dataset["phase"] = owner.recording.value ? "talking" : "idle";
      record.setAttribute("aria-pressed", String(owner.recording.value));
      record.disabled = owner.link.status.value.phase !== "open" || !owner.state.active.value || opening;
      if (!owner.recording.value) meter.show(-Infinity);
    };
    owner.recording.subscribe(scope, update);
    owner.media.microphone.phase.subscribe(scope, update);
    owner.link.status.subscribe(scope, update);
    owner.state.active.subscribe(scope, update);
    update();
    root.append(
      banners(scope, owner),
      notices(scope, owner.state.notices, (key) => owner.state.dismiss(key)),
      waveform.element,
      h("div", { class: "rnb-row" }, record, meter.element, duration),
    );
    fitWidth(scope, root);
  },
);
