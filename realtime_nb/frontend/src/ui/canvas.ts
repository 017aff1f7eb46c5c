import type { Scope } from "../core/scope.ts";
import { onThemeChange, type Palette, readPalette } from "./theme.ts";

export interface Surface {
  context: CanvasRenderingContext2D;
  width: number;
  height: number;
  palette: Palette;
}

/** A canvas that knows its size, the screen's density and the theme, and draws in at most one frame at a time. */
export class Canvas {
  readonly element: HTMLCanvasElement;
  visible = true;
  #scope: Scope;
  #draw: (surface: Surface) => void;
  #palette: Palette | null = null;
  #pending = false;

  constructor(scope: Scope, label: string, draw: (surface: Surface) => void) {
    this.#scope = scope;
    this.#draw = draw;
    this.element = document.createElement("canvas");
    this.element.className = "rnb-canvas";
    this.element.setAttribute("role", "img");
    this.element.setAttribute("aria-label", label);
    const renew = (): void => {
      this.#palette = null;
      this.request();
    };
    scope.resize(this.element, renew);
    scope.visibility(this.element, (visible) => {
      this.visible = visible;
      if (visible) this.request();
    });
    onThemeChange(scope, renew);
  }

  /** Draw in the next frame. */
  request(): void {
    if (this.#pending || this.#scope.disposed) return;
    this.#pending = true;
    this.#scope.frame(() => {
      this.#pending = false;
      this.#paint();
    });
  }

  #paint(): void {
    const width = this.element.clientWidth;
    const height = this.element.clientHeight;
    const context = this.element.getContext("2d");
    if (!context || width === 0 || height === 0) return;
    const density = window.devicePixelRatio || 1;
    const pixelWidth = Math.round(width * density);
    const pixelHeight = Math.round(height * density);
    if (this.element.width !== pixelWidth) this.element.width = pixelWidth;
    if (this.element.height !== pixelHeight) this.element.height = pixelHeight;
    context.setTransform(density, 0, 0, density, 0, 0);
    context.clearRect(0, 0, width, height);
    this.#palette ??= readPalette(this.element.parentElement ?? document.body);
    this.#draw({ context, width, height, palette: this.#palette });
  }
}
