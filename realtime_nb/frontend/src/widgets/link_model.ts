import type { Model } from "../core/anywidget.ts";
import { Commands } from "../core/commands.ts";
import { Link } from "../core/link.ts";
import type { CommandResult } from "../core/messages.gen.ts";
import { Scope } from "../core/scope.ts";
import { Media } from "./media.ts";
import { StudioState } from "./studio_state.ts";

const LINK_GRACE_MS = 2000;

/** One per widget model and page: link, sound and state, shared by all its views; alive while there is a view. */
export class LinkModel {
  readonly scope = new Scope();
  readonly state = new StudioState();
  readonly link: Link;
  readonly commands: Commands;
  readonly media: Media;
  #views = 0;
  #cancelStop = (): void => {};

  constructor(model: Model) {
    this.link = new Link(model, this.scope);
    this.commands = new Commands(this.link, this.scope);
    this.media = new Media(this.link, this.scope);
    this.link.messages.subscribe(this.scope, (message) => this.state.receive(message));
    this.media.player.failure.subscribe(this.scope, (failure) => {
      if (failure) {
        this.state.notify("error", `The browser gave no audio output: ${failure}`, "Check the sound settings and reload.");
      }
    });
  }

  /** A view came; the link lives, and the microphone may be on, only while there is one. */
  addView(scope: Scope): void {
    this.#views += 1;
    this.#cancelStop();
    this.link.start();
    scope.add(() => {
      this.#views -= 1;
      if (this.#views > 0) return;
      this.onLastView();
      this.media.microphone.close();
      void this.media.flushAll();
      this.#cancelStop = this.scope.timeout(() => {
        this.link.stop();
        this.media.player.release();
      }, LINK_GRACE_MS);
    });
  }

  /** Nobody looks any more; what a gesture holds is let go. */
  protected onLastView(): void {}

  /** Run a command; a failure is shown as a notice. */
  async run(name: string, args: Record<string, unknown> = {}): Promise<CommandResult> {
    const result = await this.commands.run(name, args);
    if (!result.ok && !this.scope.disposed) {
      this.state.notify("error", result.error || `"${name}" failed.`, result.what_now, `command-${name}`);
    } else {
      this.state.dismiss(`command-${name}`);
    }
    return result;
  }

  /** Sound may start only after a gesture: any gesture in the widget will do. */
  unlockOnGesture(scope: Scope, root: HTMLElement): void {
    for (const type of ["pointerdown", "keydown"]) {
      scope.listen(root, type, () => this.media.player.unlock(), { capture: true });
    }
  }
}
