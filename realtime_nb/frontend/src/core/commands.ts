import type { Link } from "./link.ts";
import type { CommandResult } from "./messages.gen.ts";
import type { Scope } from "./scope.ts";

const LINK_DOWN = {
  error: "The link to the kernel is down, so nothing was sent.",
  what_now: "Wait until it reconnects, or run the cell again.",
};

/** Commands to the kernel, each answered once; a lost link answers for the kernel. */
export class Commands {
  #link: Link;
  #nextId = 1;
  #waiting = new Map<number, (result: CommandResult) => void>();

  constructor(link: Link, scope: Scope) {
    this.#link = link;
    link.messages.subscribe(scope, (message) => {
      if (message.type === "command_result") this.#settle(message);
    });
    link.status.subscribe(scope, ({ phase }) => {
      if (phase === "lost" || phase === "idle") this.#failAll();
    });
    scope.add(() => this.#failAll());
  }

  /** Never rejects: `ok` false says in words what went wrong. `onSent` gets the id before the kernel can answer. */
  run(
    name: string,
    args: Record<string, unknown> = {},
    onSent?: (id: number) => void,
  ): Promise<CommandResult> {
    const id = this.#nextId++;
    return new Promise((resolve) => {
      this.#waiting.set(id, resolve);
      const sent = this.#link.send({ type: "command", id, name, arguments: args });
      if (sent) onSent?.(id);
      else this.#settle(failed(id));
    });
  }

  #settle(result: CommandResult): void {
    const resolve = this.#waiting.get(result.id);
    this.#waiting.delete(result.id);
    resolve?.(result);
  }

  #failAll(): void {
    for (const id of [...this.#waiting.keys()]) this.#settle(failed(id));
  }
}

function failed(id: number): CommandResult {
  return { type: "command_result", id, ok: false, result: {}, ...LINK_DOWN };
}
