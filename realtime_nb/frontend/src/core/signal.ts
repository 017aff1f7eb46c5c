import type { Scope } from "./scope.ts";

/** A value that tells when it changes. */
export class Signal<T> {
  #value: T;
  #subscribers = new Set<(value: T) => void>();

  constructor(initial: T) {
    this.#value = initial;
  }

  get value(): T {
    return this.#value;
  }

  get subscriberCount(): number {
    return this.#subscribers.size;
  }

  set(value: T): void {
    if (Object.is(value, this.#value)) return;
    this.#value = value;
    this.notify();
  }

  /** Tell subscribers again; for values changed in place. */
  notify(): void {
    for (const run of [...this.#subscribers]) run(this.#value);
  }

  /** Run on every change while `scope` lives. */
  subscribe(scope: Scope, run: (value: T) => void): () => void {
    this.#subscribers.add(run);
    return scope.add(() => this.#subscribers.delete(run));
  }

  /** `subscribe`, and once now. */
  watch(scope: Scope, run: (value: T) => void): () => void {
    run(this.#value);
    return this.subscribe(scope, run);
  }
}

/** A typed stream of occurrences without memory. */
export class Emitter<T> {
  #subscribers = new Set<(value: T) => void>();

  get subscriberCount(): number {
    return this.#subscribers.size;
  }

  emit(value: T): void {
    for (const run of [...this.#subscribers]) run(value);
  }

  subscribe(scope: Scope, run: (value: T) => void): () => void {
    this.#subscribers.add(run);
    return scope.add(() => this.#subscribers.delete(run));
  }
}
