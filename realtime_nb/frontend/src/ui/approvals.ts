import type { ToolCallRow } from "../core/messages.gen.ts";
import type { Scope } from "../core/scope.ts";
import type { Signal } from "../core/signal.ts";
import { button, h, removeKeepingFocus } from "./dom.ts";
import { argumentList } from "./tool_call.ts";

/** Calls that wait for a person: what would be run, with what, and the decision. A card goes when its call is settled anywhere. */
export function approvals(
  scope: Scope,
  waiting: Signal<ToolCallRow[]>,
  decide: (callId: string, approved: boolean) => Promise<void>,
): HTMLElement {
  const area = h("section", { class: "rnb-approvals", "aria-label": "Calls that wait for your approval", "aria-live": "polite" });
  const cards = new Map<string, { element: HTMLElement; scope: Scope }>();
  waiting.watch(scope, (calls) => {
    area.hidden = calls.length === 0;
    for (const [callId, card] of cards) {
      if (calls.some((call) => call.call_id === callId)) continue;
      cards.delete(callId);
      card.scope.dispose();
      removeKeepingFocus(card.element);
    }
    for (const call of calls) {
      if (cards.has(call.call_id)) continue;
      const own = scope.child();
      const element = approvalCard(own, call, decide);
      cards.set(call.call_id, { element, scope: own });
      area.append(element);
    }
  });
  return area;
}

function approvalCard(scope: Scope, call: ToolCallRow, decide: (callId: string, approved: boolean) => Promise<void>): HTMLElement {
  const approve = button("Approve", { kind: "primary" });
  const refuse = button("Refuse");
  const answer = (approved: boolean): void => {
    approve.disabled = refuse.disabled = true;
    void decide(call.call_id, approved).finally(() => {
      approve.disabled = refuse.disabled = false;
    });
  };
  scope.listen(approve, "click", () => answer(true));
  scope.listen(refuse, "click", () => answer(false));
  return h(
    "div",
    { class: "rnb-approval", role: "group", "aria-label": `May the assistant run ${call.name}?` },
    h("p", {}, "The assistant wants to run ", h("code", { class: "rnb-tool-name" }, call.name)),
    argumentList(call.arguments),
    h("div", { class: "rnb-approval-actions" }, approve, refuse),
  );
}
