import type { TimelineRow } from "../core/rows.gen.ts";
import { Scope } from "../core/scope.ts";
import { Signal } from "../core/signal.ts";
import { h, setText } from "../ui/dom.ts";
import { StageLegend } from "../ui/stage_bar.ts";
import { turnList } from "../ui/turn_list.ts";
import { waterfall } from "../ui/waterfall.ts";
import { fitWidth } from "./fit_width.ts";
import { watchTrait, widgetModule } from "./mount.ts";

/** Where the time of a turn went, from traits alone: works in saved notebooks without a kernel. */
export default widgetModule(
  () => ({ scope: new Scope() }),
  (_owner, root, scope, model) => {
    root.classList.add("rnb-card", "rnb-timeline");
    const turns = new Signal<TimelineRow[]>([]);
    const selected = new Signal(-1);
    const shown = new Signal<TimelineRow | null>(null);
    const title = h("h2", { class: "rnb-panel-title" });
    const legend = new StageLegend();
    const show = (): void => shown.set(turns.value[selected.value] ?? null);
    selected.subscribe(scope, show);
    watchTrait(scope, model, "title", (value) => setText(title, typeof value === "string" && value ? value : "Where the time went"));
    watchTrait(scope, model, "turns", (value) => {
      const next = Array.isArray(value) ? (value as TimelineRow[]) : [];
      const followed = selected.value < 0 || selected.value >= turns.value.length - 1;
      turns.set(next);
      legend.update(next.flatMap(({ spans }) => spans));
      selected.set(followed ? next.length - 1 : Math.min(selected.value, next.length - 1));
      show();
    });
    root.append(title, turnList(scope, turns, selected), waterfall(scope, shown), legend.element);
    fitWidth(scope, root);
  },
);
