import type { Scope } from "../core/scope.ts";

const NARROW_PX = 520;
const PROJECTOR_PX = 1400;

/** Tell the style sheet how much room there is. */
export function fitWidth(scope: Scope, root: HTMLElement): void {
  scope.resize(root, ({ contentRect }) => {
    root.classList.toggle("rnb-narrow", contentRect.width < NARROW_PX);
    root.classList.toggle("rnb-projector", contentRect.width >= PROJECTOR_PX);
  });
}
