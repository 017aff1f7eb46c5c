/** Ownership of everything the page acquires. Disposing a scope ends its children, then its own things, last in first out. */
export class Scope {
  #disposers: Array<() => void> = [];
  #children = new Set<Scope>();
  #parent: Scope | null = null;
  #disposed = false;

  get disposed(): boolean {
    return this.#disposed;
  }

  /** Things owned here and below; a leak test expects zero after `dispose`. */
  get size(): number {
    let total = this.#disposers.length;
    for (const child of this.#children) total += child.size;
    return total;
  }

  child(): Scope {
    const scope = new Scope();
    if (this.#disposed) {
      scope.dispose();
      return scope;
    }
    scope.#parent = this;
    this.#children.add(scope);
    return scope;
  }

  /** Own a disposer; returns a function that runs it early. Late registration disposes at once. */
  add(dispose: () => void): () => void {
    if (this.#disposed) {
      dispose();
      return () => {};
    }
    let done = false;
    const once = (): void => {
      if (done) return;
      done = true;
      const index = this.#disposers.indexOf(once);
      if (index >= 0) this.#disposers.splice(index, 1);
      dispose();
    };
    this.#disposers.push(once);
    return once;
  }

  listen<E extends Event = Event>(
    target: EventTarget,
    type: string,
    listener: (event: E) => void,
    options?: AddEventListenerOptions,
  ): () => void {
    const handler = listener as EventListener;
    target.addEventListener(type, handler, options);
    return this.add(() => target.removeEventListener(type, handler, options));
  }

  timeout(run: () => void, delayMs: number): () => void {
    let cancel = (): void => {};
    const id = setTimeout(() => {
      cancel();
      run();
    }, delayMs);
    cancel = this.add(() => clearTimeout(id));
    return cancel;
  }

  interval(run: () => void, everyMs: number): () => void {
    const id = setInterval(run, everyMs);
    return this.add(() => clearInterval(id));
  }

  /** One animation frame. */
  frame(run: (timeMs: number) => void): () => void {
    let cancel = (): void => {};
    const id = requestAnimationFrame((timeMs) => {
      cancel();
      run(timeMs);
    });
    cancel = this.add(() => cancelAnimationFrame(id));
    return cancel;
  }

  resize(element: Element, run: (entry: ResizeObserverEntry) => void): () => void {
    const observer = new ResizeObserver((entries) => {
      for (const entry of entries) run(entry);
    });
    observer.observe(element);
    return this.add(() => observer.disconnect());
  }

  mutations(node: Node, options: MutationObserverInit, run: (changes: MutationRecord[]) => void): () => void {
    const observer = new MutationObserver(run);
    observer.observe(node, options);
    return this.add(() => observer.disconnect());
  }

  visibility(element: Element, run: (visible: boolean) => void): () => void {
    const observer = new IntersectionObserver((entries) => {
      const last = entries[entries.length - 1];
      if (last) run(last.isIntersecting);
    });
    observer.observe(element);
    return this.add(() => observer.disconnect());
  }

  /** End this scope when `signal` aborts. */
  follow(signal: AbortSignal | undefined): this {
    if (!signal) return this;
    if (signal.aborted) this.dispose();
    else this.listen(signal, "abort", () => this.dispose());
    return this;
  }

  /** Safe to call twice; one failing disposer does not keep the others from running. */
  dispose(): void {
    if (this.#disposed) return;
    this.#disposed = true;
    if (this.#parent) this.#parent.#children.delete(this);
    for (const child of [...this.#children]) child.dispose();
    this.#children.clear();
    for (const dispose of this.#disposers.splice(0).reverse()) {
      try {
        dispose();
      } catch (error) {
        console.error("[realtime_nb] a disposer failed", error);
      }
    }
  }
}
