import type { Scope } from "../core/scope.ts";
import { Banner } from "../ui/banner.ts";
import { h } from "../ui/dom.ts";
import type { LinkModel } from "./link_model.ts";

/** Lasting states: the link, who carries the audio, blocked sound, the microphone. */
export function banners(scope: Scope, owner: LinkModel): HTMLElement {
  return h(
    "div",
    { class: "rnb-banners" },
    linkBanner(scope, owner),
    activeBanner(scope, owner),
    soundBanner(scope, owner),
    microphoneBanner(scope, owner),
  );
}

function linkBanner(scope: Scope, { link }: Pick<LinkModel, "link">): HTMLElement {
  const banner = new Banner(scope, "warning");
  const retry = { label: "Try again", run: () => link.retryNow() };
  link.status.watch(scope, ({ phase, silent, detail, whatNow }) => {
    if (phase === "open" && silent) {
      banner.show("The kernel has not answered for some seconds. While a cell runs it cannot hear this page; what you do here waits for it.");
    } else if (phase === "lost") banner.show("The link to the kernel was lost; reconnecting. Everything received stays here.");
    else if (phase === "unreachable") {
      banner.show("The kernel does not answer: it was restarted or stopped. Everything received stays here; run the cell again for a new session.", retry);
    } else if (phase === "refused") banner.show([detail, whatNow].filter(Boolean).join(" "), retry);
    else banner.hide();
  });
  return banner.element;
}

function activeBanner(scope: Scope, owner: Pick<LinkModel, "state" | "run">): HTMLElement {
  const banner = new Banner(scope, "info");
  const take = { label: "Use this view", run: () => void owner.run("activate") };
  owner.state.active.watch(scope, (active) => {
    if (active) banner.hide();
    else banner.show("Audio is in another view of this widget.", take);
  });
  return banner.element;
}

function soundBanner(scope: Scope, { media }: Pick<LinkModel, "media">): HTMLElement {
  const banner = new Banner(scope, "info");
  const unlock = { label: "Click to enable sound", run: () => media.player.unlock() };
  media.player.blocked.watch(scope, (blocked) => {
    if (blocked) banner.show("The browser holds back sound until you click.", unlock);
    else banner.hide();
  });
  return banner.element;
}

function microphoneBanner(scope: Scope, { media }: Pick<LinkModel, "media">): HTMLElement {
  const banner = new Banner(scope, "warning");
  const { failure } = media.microphone;
  const dismiss = { label: "Dismiss", run: () => failure.set(null) };
  failure.watch(scope, (value) => {
    if (value) banner.show(`${value.message} ${value.whatNow}`, dismiss);
    else banner.hide();
  });
  banner.element.classList.add("rnb-microphone-failure");
  return banner.element;
}
