/** The part of the anywidget front-end interface that we use. */
export interface Model {
  get(name: string): unknown;
  on(event: string, callback: (...values: never[]) => void): void;
  off(event: string, callback: (...values: never[]) => void): void;
  send(content: unknown, callbacks?: unknown, buffers?: Array<ArrayBuffer | ArrayBufferView>): void;
}

export interface InitializeContext {
  model: Model;
  signal?: AbortSignal;
}

export interface RenderContext {
  model: Model;
  el: HTMLElement;
  signal?: AbortSignal;
}

export interface WidgetModule {
  initialize(context: InitializeContext): () => void;
  render(context: RenderContext): () => void;
}
