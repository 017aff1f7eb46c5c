import { expect, it, vi } from "vitest";
import type { MicrophonePhase } from "../src/audio/microphone.ts";
import { microphoneFailure, MicrophoneGoneError } from "../src/audio/microphone_error.ts";
import { Signal } from "../src/core/signal.ts";
import { controls, type ControlsSource } from "../src/ui/controls.ts";
import { scope } from "./page.ts";

function sayer(say: (text: string) => Promise<boolean>): HTMLInputElement {
  const element = controls(scope, {
    talk: { phase: new Signal<ControlsSource["talk"]["phase"]["value"]>("idle"), press: vi.fn(), release: vi.fn() },
    microphone: new Signal<MicrophonePhase>("closed"),
    clips: new Signal<ControlsSource["clips"]["value"]>([]),
    uploading: new Signal(""),
    usable: new Signal(true),
    connected: new Signal(true),
    toggleOpenMicrophone: vi.fn(),
    interrupt: vi.fn(),
    playClip: vi.fn(),
    upload: vi.fn(),
    say,
  });
  document.body.append(element);
  return element.querySelector<HTMLInputElement>('[aria-label="Message to the assistant"]') as HTMLInputElement;
}

it.each([
  ["keeps what was typed and could not be said", false, "", "where is my order"],
  ["leaves alone what was typed meanwhile", false, "and", "and"],
  ["is empty after it was said", true, "", ""],
])("%s", async (_what, said, meanwhile, left) => {
  const input = sayer(() => Promise.resolve(said));
  input.value = "where is my order";
  input.form?.dispatchEvent(new Event("submit", { cancelable: true }));
  expect(input.value).toBe("");
  input.value = meanwhile;
  await vi.advanceTimersByTimeAsync(0);
  expect(input.value).toBe(left);
});

it("does not blame another program for a microphone that was unplugged", () => {
  const { name, message } = microphoneFailure(new MicrophoneGoneError("the track ended"));
  expect([name, message]).toEqual(["gone", "The microphone went away while it was on: unplugged, or no longer allowed."]);
});
