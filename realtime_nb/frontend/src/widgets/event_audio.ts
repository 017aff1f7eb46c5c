import { ClipPlayer } from "../audio/clip_player.ts";
import { decodeBase64Pcm, WIRE_RATE_HZ } from "../audio/pcm.ts";
import type { Commands } from "../core/commands.ts";
import type { Scope } from "../core/scope.ts";

/** Plays the audio payloads of wire events, one after the other. */
export class EventAudio {
  #player: ClipPlayer;
  #commands: Commands;

  constructor(scope: Scope, commands: Commands) {
    this.#player = new ClipPlayer(scope);
    this.#commands = commands;
  }

  /** Resolves with what went wrong, or empty. */
  async play(sequences: readonly number[]): Promise<string> {
    const { ok, result, error } = await this.#commands.run("get_event_audio", { sequences });
    if (!ok) return error || "no audio";
    const text = result["pcm16_base64"];
    const rateHz = result["sample_rate_hz"];
    if (typeof text !== "string") return "no audio in this event";
    try {
      await this.#player.play(decodeBase64Pcm(text), typeof rateHz === "number" ? rateHz : WIRE_RATE_HZ);
      return "";
    } catch (problem) {
      return `could not play: ${String(problem)}`;
    }
  }
}
