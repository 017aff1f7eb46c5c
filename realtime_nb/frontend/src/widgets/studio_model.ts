import type { Model } from "../core/anywidget.ts";
import { Signal } from "../core/signal.ts";
import { LinkModel } from "./link_model.ts";
import { TalkKey } from "./talk_key.ts";
import { uploadFile } from "./upload.ts";

/** What the Studio's controls do. */
export class StudioModel extends LinkModel {
  readonly talk: TalkKey;
  readonly uploading = new Signal("");
  /** The kernel was told that the microphone is open. */
  #listening = false;

  constructor(model: Model) {
    super(model);
    this.talk = new TalkKey(this.media, (name) => this.#tell(name), this.scope);
    this.media.microphone.phase.subscribe(this.scope, (phase) => {
      if (phase !== "closed" || !this.#listening) return;
      this.#listening = false;
      this.#tell("microphone_close");
    });
  }

  /** Without a link the microphone has ended, and the kernel knows: nothing to tell, nothing that failed. */
  #tell(name: "talk_start" | "talk_end" | "microphone_close"): void {
    if (this.link.open) void this.run(name);
  }

  protected override onLastView(): void {
    this.talk.release();
  }

  async interrupt(): Promise<void> {
    await this.media.flushAll();
    await this.run("interrupt");
  }

  /** Something new to say silences the reply first, as talking does. */
  async say(command: "say_text" | "play_clip", args: Record<string, unknown>): Promise<boolean> {
    await this.media.flushAll();
    return (await this.run(command, args)).ok;
  }

  /** Decide on a call that waits; the kernel then says how it went. */
  async decide(callId: string, approved: boolean): Promise<void> {
    await this.run("approve_tool", { call_id: callId, approved });
  }

  async toggleOpenMicrophone(): Promise<void> {
    const { microphone } = this.media;
    if (microphone.phase.value !== "closed") {
      microphone.close();
    } else if (await microphone.open()) {
      this.#listening = true;
      const result = await this.run("microphone_open");
      if (!result.ok) microphone.close();
    }
  }

  async upload(file: File): Promise<void> {
    this.uploading.set(file.name);
    const result = await uploadFile(this.link, this.commands, file);
    this.uploading.set("");
    if (result.ok) this.state.dismiss("upload");
    else this.state.notify("error", result.error, result.what_now, "upload");
  }
}
