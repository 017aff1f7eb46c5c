import type { Model, RenderContext, WidgetModule } from "../core/anywidget.ts";
import { Scope } from "../core/scope.ts";

/**
 * An anywidget module from a per-model object and a view: `initialize` makes the former at once and without waiting,
 * `render` puts a view of it into the page; whatever ends first ends what it owns.
 */
export function widgetModule<T extends { scope: Scope }>(
  create: (model: Model) => T,
  view: (owner: T, root: HTMLElement, scope: Scope, model: Model) => void,
): () => WidgetModule {
  // A factory, called once per model: the host hands `initialize` and `render` different proxies of the model.
  return () => widgetOf(create, view);
}

function widgetOf<T extends { scope: Scope }>(
  create: (model: Model) => T,
  view: (owner: T, root: HTMLElement, scope: Scope, model: Model) => void,
): WidgetModule {
  let owner: T | undefined;
  return {
    initialize({ model, signal }) {
      const created = create(model);
      owner = created;
      created.scope.follow(signal);
      return () => created.scope.dispose();
    },
    render({ model, el, signal }: RenderContext) {
      if (!owner) throw new Error("realtime_nb: render before initialize");
      const scope = owner.scope.child();
      scope.follow(signal);
      const root = document.createElement("div");
      root.className = "rnb";
      root.dataset["lmSuppressShortcuts"] = "true"; // the notebook must not take Space, Enter and arrows from us
      el.append(root);
      scope.add(() => root.remove());
      view(owner, root, scope, model);
      return () => scope.dispose();
    },
  };
}

/** Follow a trait: once now and on every change. */
export function watchTrait(scope: Scope, model: Model, name: string, run: (value: unknown) => void): void {
  const onChange = (): void => run(model.get(name));
  model.on(`change:${name}`, onChange);
  scope.add(() => model.off(`change:${name}`, onChange));
  onChange();
}
