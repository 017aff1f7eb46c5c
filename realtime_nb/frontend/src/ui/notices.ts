import type { Scope } from "../core/scope.ts";
import type { Signal } from "../core/signal.ts";
import { button, h, removeKeepingFocus } from "./dom.ts";

export interface NoticeView {
  key: string;
  level: "info" | "warning" | "error";
  message: string;
  what_now: string;
}

const LEVEL_WORDS = { info: "Note", warning: "Warning", error: "Problem" };

/** What happened and what to do, until dismissed. One that stays is left alone: a screen reader would say it again. */
export function notices(scope: Scope, items: Signal<NoticeView[]>, dismiss: (key: string) => void): HTMLElement {
  const area = h("div", { class: "rnb-notices", "aria-live": "polite" });
  const shown = new Map<NoticeView, { element: HTMLElement; scope: Scope }>();
  items.watch(scope, (list) => {
    for (const [item, { element, scope: own }] of shown) {
      if (list.includes(item)) continue;
      shown.delete(item);
      own.dispose();
      removeKeepingFocus(element);
    }
    for (const item of list) {
      if (shown.has(item)) continue;
      const own = scope.child();
      const element = notice(own, item, dismiss);
      shown.set(item, { element, scope: own });
      area.append(element);
    }
  });
  return area;
}

function notice(scope: Scope, item: NoticeView, dismiss: (key: string) => void): HTMLElement {
  const close = button("Dismiss", { icon: "close", iconOnly: true, kind: "quiet" });
  scope.listen(close, "click", () => dismiss(item.key));
  return h(
    "div",
    { class: "rnb-notice", "data-level": item.level, role: item.level === "error" ? "alert" : null },
    h("strong", {}, LEVEL_WORDS[item.level]),
    h("p", {}, item.message, item.what_now && h("span", { class: "rnb-what-now" }, ` ${item.what_now}`)),
    close,
  );
}
