import { LaneMixer, QUESTION } from "../audio/lane_mixer.ts";
import { bytesToInt16 } from "../audio/pcm.ts";
import type { Model } from "../core/anywidget.ts";
import { KIND_PLAYBACK } from "../core/messages.gen.ts";
import type { RaceRow } from "../core/rows.gen.ts";
import { Signal } from "../core/signal.ts";
import { notices } from "../ui/notices.ts";
import { race } from "../ui/race.ts";
import { banners } from "./banners.ts";
import { fitWidth } from "./fit_width.ts";
import { LinkModel } from "./link_model.ts";
import { watchTrait, widgetModule } from "./mount.ts";

/** The race's state comes in a trait, its sound on the link; commands go out. */
class RaceModel extends LinkModel {
  readonly race = new Signal<RaceRow | null>(null);
  readonly usable = new Signal(false);
  readonly hearsQuestion = new Signal(true);
  readonly mixer: LaneMixer;
  #receivedMs = 0;

  constructor(model: Model) {
    super(model);
    this.mixer = new LaneMixer(this.scope);
    this.link.binaries.subscribe(this.scope, ({ kind, streamId, payload }) => {
      if (kind === KIND_PLAYBACK) this.mixer.push(streamId, bytesToInt16(payload));
    });
    watchTrait(this.scope, model, "race", (value) => {
      const row = value as RaceRow;
      if (!row?.lanes) return;
      this.#receivedMs = performance.now();
      const streams = new Map(row.lanes.map(({ stream_id }, lane) => [stream_id, lane]));
      streams.set(row.question_stream_id, QUESTION);
      streams.delete(0);
      if (streams.size > 0) this.mixer.assign(streams);
      this.race.set(row);
    });
    this.hearsQuestion.subscribe(this.scope, (hears) => this.mixer.mute(QUESTION, !hears));
    const update = (): void => this.usable.set(this.link.status.value.phase === "open" && this.state.active.value);
    this.link.status.watch(this.scope, update);
    this.state.active.subscribe(this.scope, update);
  }

  receivedMs(): number {
    return this.#receivedMs;
  }

  async stop(): Promise<void> {
    this.mixer.silence();
    await this.run("stop");
  }

  protected override onLastView(): void {
    this.mixer.silence();
  }
}

export default widgetModule(
  (model) => new RaceModel(model),
  (owner, root, scope) => {
    owner.addView(scope);
    owner.unlockOnGesture(scope, root);
    root.classList.add("rnb-card", "rnb-race");
    root.append(
      banners(scope, owner),
      notices(scope, owner.state.notices, (key) => owner.state.dismiss(key)),
      race(scope, {
        race: owner.race,
        receivedMs: () => owner.receivedMs(),
        usable: owner.usable,
        hearsQuestion: owner.hearsQuestion,
        audible: owner.mixer.audible,
        recorded: owner.mixer.recorded,
        mute: (lane, muted) => owner.mixer.mute(lane, muted),
        solo: (lane) => owner.mixer.solo(lane),
        replay: (lane) => owner.mixer.replay(lane),
        start: (races) => void owner.run("start", { races }),
        stop: () => void owner.stop(),
      }),
    );
    fitWidth(scope, root);
  },
);
