import type { Commands } from "../core/commands.ts";
import { encodeBinary } from "../core/binary.ts";
import type { Link } from "../core/link.ts";
import { type CommandResult, KIND_UPLOAD } from "../core/messages.gen.ts";

const CHUNK_BYTES = 64 * 1024;
export const MAX_UPLOAD_BYTES = 64 * 1024 * 1024;

/** Send a file as chunks after its command. Resolves with the kernel's verdict; never rejects. */
export async function uploadFile(link: Link, commands: Commands, file: File): Promise<CommandResult> {
  const refuse = (error: string, whatNow: string): CommandResult => ({
    type: "command_result",
    id: 0,
    ok: false,
    result: {},
    error,
    what_now: whatNow,
  });
  if (file.size === 0) return refuse(`"${file.name}" is empty (0 bytes).`, "Choose a file that holds sound.");
  if (file.size > MAX_UPLOAD_BYTES) {
    return refuse(
      `"${file.name}" is ${(file.size / 1e6).toFixed(0)} MB; a clip may have at most 64 MB.`,
      "Cut it, or load it in a cell with AudioClip.load(path).",
    );
  }
  const bytes = new Uint8Array(await file.arrayBuffer().catch(() => new ArrayBuffer(0)));
  if (bytes.length === 0) return refuse(`"${file.name}" could not be read.`, "Check that it still exists and try again.");
  return commands.run("upload_clip", { filename: file.name, size: bytes.length }, (id) => {
    for (let at = 0, sequence = 0; at < bytes.length; at += CHUNK_BYTES, sequence += 1) {
      link.sendBinary(
        encodeBinary({
          kind: KIND_UPLOAD,
          streamId: id,
          sequence,
          timeClientMs: performance.now(),
          payload: bytes.subarray(at, at + CHUNK_BYTES),
        }),
      );
    }
  });
}
