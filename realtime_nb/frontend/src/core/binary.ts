import { BINARY_HEADER_BYTES } from "./messages.gen.ts";

/** A binary message of the link: the fixed little-endian header and what follows it. */
export interface BinaryMessage {
  kind: number;
  flags: number;
  streamId: number;
  sequence: number;
  timeClientMs: number;
  payload: Uint8Array;
}

export function encodeBinary(message: Omit<BinaryMessage, "flags"> & { flags?: number }): ArrayBuffer {
  const buffer = new ArrayBuffer(BINARY_HEADER_BYTES + message.payload.byteLength);
  const view = new DataView(buffer);
  view.setUint8(0, message.kind);
  view.setUint8(1, message.flags ?? 0);
  view.setUint32(4, message.streamId, true);
  view.setUint32(8, message.sequence >>> 0, true);
  view.setFloat64(12, message.timeClientMs, true);
  new Uint8Array(buffer, BINARY_HEADER_BYTES).set(message.payload);
  return buffer;
}

/** Returns null for a message too short to have a header. */
export function decodeBinary(data: ArrayBuffer | ArrayBufferView): BinaryMessage | null {
  const view = ArrayBuffer.isView(data)
    ? new DataView(data.buffer, data.byteOffset, data.byteLength)
    : new DataView(data);
  if (view.byteLength < BINARY_HEADER_BYTES) return null;
  return {
    kind: view.getUint8(0),
    flags: view.getUint8(1),
    streamId: view.getUint32(4, true),
    sequence: view.getUint32(8, true),
    timeClientMs: view.getFloat64(12, true),
    payload: new Uint8Array(
      view.buffer,
      view.byteOffset + BINARY_HEADER_BYTES,
      view.byteLength - BINARY_HEADER_BYTES,
    ),
  };
}
