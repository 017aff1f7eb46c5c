import type { Link } from "../core/link.ts";
import type { LinkStatus } from "../core/link_status.ts";
import type { LinkMeasured, SessionState } from "../core/messages.gen.ts";
import type { Scope } from "../core/scope.ts";
import type { Signal } from "../core/signal.ts";
import { button, h, setLabel, setText } from "./dom.ts";
import { RecordingSign } from "./recording_sign.ts";

const SESSION_WORDS: Record<SessionState["state"], string> = {
  idle: "Not connected",
  connecting: "Connecting…",
  connected: "Connected",
  reconnecting: "Reconnecting…",
  closed: "Closed",
  failed: "Failed",
};

const LINK_WORDS: Record<LinkStatus["phase"], string> = {
  idle: "link idle",
  requesting: "asking the kernel…",
  connecting: "opening the link…",
  open: "",
  lost: "link lost, reconnecting…",
  unreachable: "kernel not reachable",
  refused: "link refused",
};

/** With the link in these, what was said of the session may no longer be so. */
const STALE: ReadonlySet<LinkStatus["phase"]> = new Set(["lost", "unreachable", "refused"]);

export interface HeaderSource {
  session: Signal<SessionState>;
  measured: Signal<LinkMeasured | null>;
  link: Link;
  toggleConnection(): void;
}

/** Who one talks to, whether the way is up and how fast it is. */
export function header(scope: Scope, source: HeaderSource): HTMLElement {
  const state = h("span", { class: "rnb-state", role: "status" });
  const engine = h("span", { class: "rnb-engine" });
  const linkChip = h("span", { class: "rnb-chip rnb-link" });
  const recording = new RecordingSign();
  const connect = button("Connect", { kind: "primary" });
  scope.listen(connect, "click", () => source.toggleConnection());

  const showState = (): void => {
    const { state: known } = source.session.value;
    const { phase, silent } = source.link.status.value;
    const stale = (silent || STALE.has(phase)) && known !== "idle";
    state.dataset["state"] = stale ? "unknown" : known;
    setText(state, stale ? `Last known: ${SESSION_WORDS[known].toLowerCase()}` : SESSION_WORDS[known]);
    recording.show(source.session.value.recording, stale);
  };
  source.session.watch(scope, (session) => {
    showState();
    const names = [session.engine, session.model, session.voice && `voice ${session.voice}`].filter(Boolean);
    setText(engine, [...new Set(names)].join(" · "));
    engine.title = session.endpoint;
    const connected = ["connected", "connecting", "reconnecting"].includes(session.state);
    setLabel(connect, connected ? "Disconnect" : "Connect");
    connect.classList.toggle("rnb-button-primary", !connected);
  });
  const showLink = (): void => {
    const status = source.link.status.value;
    linkChip.dataset["phase"] = status.phase;
    setText(linkChip, linkText(status, source.measured.value));
    linkChip.title = linkTitle(status, source.measured.value);
    connect.disabled = status.phase !== "open";
    showState();
  };
  source.measured.subscribe(scope, showLink);
  source.link.status.watch(scope, showLink);

  return h(
    "header",
    { class: "rnb-header" },
    h("div", { class: "rnb-identity" }, state, engine),
    h(
      "div",
      { class: "rnb-chips" },
      recording.element,
      linkChip,
      h("span", { class: "rnb-chip rnb-ai", title: "You hear a synthetic voice, not a person" }, "AI voice"),
      connect,
    ),
  );
}

function linkText(status: LinkStatus, measured: LinkMeasured | null): string {
  if (status.phase !== "open") return LINK_WORDS[status.phase];
  if (status.silent) return `${status.transport} link · kernel busy`;
  const fresh = measured && measured.transport === status.transport ? measured.round_trip_p50_ms : null;
  const roundTripMs = fresh ?? status.roundTripMs;
  const figure = roundTripMs === null ? "…" : `${roundTripMs < 10 ? roundTripMs.toFixed(1) : roundTripMs.toFixed(0)} ms`;
  return `${status.transport} link · ${figure}`;
}

function linkTitle(status: LinkStatus, measured: LinkMeasured | null): string {
  if (status.phase !== "open") return [status.detail, status.whatNow].filter(Boolean).join(" ");
  if (!measured || measured.transport !== status.transport) return "Round trip between this page and the kernel";
  return (
    `Round trip page ↔ kernel: median ${measured.round_trip_p50_ms.toFixed(1)} ms, ` +
    `95 % under ${measured.round_trip_p95_ms.toFixed(1)} ms (n = ${measured.n})`
  );
}
