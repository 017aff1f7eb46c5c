/** Why the microphone is not there, in words for the user. */
export interface MicrophoneFailure {
  /** The DOMException's name, "insecure" or "gone". */
  name: string;
  message: string;
  whatNow: string;
}

const OTHER_WAYS = "Sample clips, audio files and typed text work without a microphone.";

const WORDS: Record<string, [message: string, whatNow: string]> = {
  insecure: [
    "This page may not use the microphone, because it was not opened from localhost or over https.",
    "Open JupyterLab as http://localhost:… (an ssh tunnel does) or over https.",
  ],
  gone: [
    "The microphone went away while it was on: unplugged, or no longer allowed.",
    "Plug it in again or choose another input, and press again.",
  ],
  NotAllowedError: [
    "The browser refused the microphone.",
    "Allow it for this site (the icon left of the address, or the system's privacy settings) and press again.",
  ],
  NotFoundError: ["No microphone was found.", "Plug one in or choose an input in the system's sound settings, and press again."],
  NotReadableError: [
    "The microphone is there but did not open; another program may be using it.",
    "Close the other program (a video call, a recorder) and press again.",
  ],
};

export function microphoneFailure(error: unknown): MicrophoneFailure {
  const name = error instanceof Error || error instanceof DOMException ? error.name : "Error";
  const text = error instanceof Error || error instanceof DOMException ? error.message : String(error);
  const [message, whatNow] = WORDS[name] ?? [`The microphone did not open: ${text || name}.`, "Press again to retry."];
  return { name, message, whatNow: `${whatNow} ${OTHER_WAYS}` };
}

export class MicrophoneGoneError extends Error {
  override name = "gone";
}

export class InsecurePageError extends Error {
  override name = "insecure";
}
