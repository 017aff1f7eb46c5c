import type { Scope } from "../core/scope.ts";

/** Colours that canvases draw with; read from the style tokens so that there is one source of them. */
export interface Palette {
  user: string;
  assistant: string;
  grid: string;
  text: string;
  hold: string;
  surface: string;
  /** For axis labels, as a canvas wants it. */
  font: string;
}

const TOKENS: Record<Exclude<keyof Palette, "font">, string> = {
  user: "--rnb-user",
  assistant: "--rnb-assistant",
  grid: "--rnb-line",
  text: "--rnb-text-soft",
  hold: "--rnb-hold",
  surface: "--rnb-surface",
};

/** Resolved colours of `element`: a probe is coloured with each token, since custom properties do not resolve by themselves. */
export function readPalette(element: HTMLElement): Palette {
  const probe = document.createElement("span");
  probe.style.display = "none";
  element.append(probe);
  const { fontFamily, fontSize } = getComputedStyle(element);
  const palette = { font: `${0.8 * Number.parseFloat(fontSize)}px ${fontFamily}` } as Palette;
  for (const [name, token] of Object.entries(TOKENS) as Array<[keyof typeof TOKENS, string]>) {
    probe.style.color = `var(${token})`;
    palette[name] = getComputedStyle(probe).color || "gray";
  }
  probe.remove();
  return palette;
}

/** Run when JupyterLab's theme or the system's preference changes. */
export function onThemeChange(scope: Scope, run: () => void): void {
  const options = { attributes: true, attributeFilter: ["data-jp-theme-light", "data-jp-theme-name", "class", "style"] };
  const soon = (): void => void scope.frame(run);
  scope.mutations(document.body, options, soon);
  scope.mutations(document.documentElement, options, soon);
  for (const query of ["(prefers-color-scheme: dark)", "(prefers-contrast: more)"]) {
    if (typeof matchMedia === "function") scope.listen(matchMedia(query), "change", soon);
  }
}

export function prefersReducedMotion(): boolean {
  return typeof matchMedia === "function" && matchMedia("(prefers-reduced-motion: reduce)").matches;
}
