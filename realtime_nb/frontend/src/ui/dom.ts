type Child = Node | string | null | undefined | false;
type Attributes = Record<string, string | number | boolean | null | undefined>;

/** An element with attributes (true → present, false/null → absent) and children. */
export function h<K extends keyof HTMLElementTagNameMap>(
  tag: K,
  attributes: Attributes = {},
  ...children: Child[]
): HTMLElementTagNameMap[K] {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) setAttribute(element, name, value);
  append(element, children);
  return element;
}

export function setAttribute(element: Element, name: string, value: Attributes[string]): void {
  if (value === false || value === null || value === undefined) element.removeAttribute(name);
  else element.setAttribute(name, value === true ? "" : String(value));
}

export function append(element: Element, children: Child[]): void {
  for (const child of children) if (child) element.append(child);
}

/** Set text only when it differs, so that screen readers and layout are left alone. */
export function setText(element: Element, text: string): void {
  if (element.textContent !== text) element.textContent = text;
}

/** Remove one of several like elements; the focus goes to the first button of a neighbour. */
export function removeKeepingFocus(element: Element): void {
  const hadFocus = element.contains((element.getRootNode() as Document | ShadowRoot).activeElement);
  const neighbour = element.nextElementSibling ?? element.previousElementSibling;
  element.remove();
  if (hadFocus) neighbour?.querySelector("button")?.focus();
}

const PATHS = {
  microphone: "M8 1.5a2.25 2.25 0 0 0-2.25 2.25v4a2.25 2.25 0 0 0 4.5 0v-4A2.25 2.25 0 0 0 8 1.5ZM3.75 7.5a4.25 4.25 0 0 0 8.5 0M8 11.75v2.75",
  stop: "M4.25 4.25h7.5v7.5h-7.5z",
  play: "M5 3.25v9.5l7.5-4.75z",
  send: "M2.5 8h10M8.75 4.25 12.5 8l-3.75 3.75",
  upload: "M8 10.5v-8M4.75 5.5 8 2.25 11.25 5.5M2.75 10.5v2.75h10.5V10.5",
  pause: "M5.25 3.5v9M10.75 3.5v9",
  close: "M4 4l8 8M12 4l-8 8",
  speaker: "M2.5 6.25h2.25L8 3.5v9L4.75 9.75H2.5zM10.5 6a3 3 0 0 1 0 4M12.25 4.25a5.5 5.5 0 0 1 0 7.5",
  search: "M7 2.75a4.25 4.25 0 1 0 0 8.5 4.25 4.25 0 0 0 0-8.5ZM10.25 10.25 13.5 13.5",
  record: "M8 3.5a4.5 4.5 0 1 0 0 9 4.5 4.5 0 0 0 0-9Z",
} as const;

export type IconName = keyof typeof PATHS;

const FILLED: ReadonlySet<IconName> = new Set(["stop", "play", "record"]);

export function icon(name: IconName): SVGSVGElement {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  svg.setAttribute("viewBox", "0 0 16 16");
  svg.setAttribute("class", `rnb-icon${FILLED.has(name) ? " rnb-icon-filled" : ""}`);
  svg.setAttribute("aria-hidden", "true");
  const path = document.createElementNS("http://www.w3.org/2000/svg", "path");
  path.setAttribute("d", PATHS[name]);
  svg.append(path);
  return svg;
}

/** A button with an icon and, unless `iconOnly`, its label as text. */
export function button(
  label: string,
  options: { icon?: IconName; iconOnly?: boolean; kind?: "primary" | "quiet" | "plain"; title?: string } = {},
): HTMLButtonElement {
  const element = h("button", {
    type: "button",
    class: `rnb-button rnb-button-${options.kind ?? "plain"}${options.iconOnly ? " rnb-button-icon" : ""}`,
    title: options.title ?? (options.iconOnly ? label : null),
    "aria-label": options.iconOnly ? label : null,
  });
  append(element, [options.icon && icon(options.icon), !options.iconOnly && h("span", { class: "rnb-label" }, label)]);
  return element;
}

export function setLabel(element: HTMLButtonElement, label: string): void {
  const span = element.querySelector(".rnb-label");
  if (span) setText(span, label);
}
