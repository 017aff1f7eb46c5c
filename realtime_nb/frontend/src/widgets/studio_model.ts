import type { Model } from "../core/anywidget.ts";
import { Signal } from "../core/signal.ts";
import { LinkModel } from "./link_model.ts";
import { TalkKey } from "./talk_key.ts";
import { uploadFile } from "./upload.ts";

/** What the Studio's controls do. */
export class StudioModel extends LinkModel {
  readonly talk: TalkKey;
  readonly uploading = new Signal("");

  constructor(model: Model) {
    super(model);
    this.talk = new TalkKey(this.media, (name) => this.run(name), this.scope);
  }

  protected override onLastView(): void {
    this.talk.release();
  }

  async interrupt(): Promise<void> {
    await this.media.flushAll();
    await this.run("interrupt");
  }

  /** Something new to say silences the reply first, as talking does. */
  async say(command: "say_text" | "play_clip", args: Record<string, unknown>): Promise<void> {
    await this.media.flushAll();
    await this.run(command, args);
  }

  /** Decide on a call that waits; the kernel then says how it went. */
  async decide(callId: string, approved: boolean): Promise<void> {
    await this.run("approve_tool", { call_id: callId, approved });
  }

  async toggleOpenMicrophone(): Promise<void> {
    const { microphone } = this.media;
    if (microphone.phase.value !== "closed") {
      microphone.close();
      await this.run("microphone_close");
    } else if (await microphone.open()) {
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
