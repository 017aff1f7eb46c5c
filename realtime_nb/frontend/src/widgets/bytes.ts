/** A Bytes trait as it reaches the page. */
export function bytesToInt8(value: unknown): Int8Array {
  if (value instanceof ArrayBuffer) return new Int8Array(value);
  if (ArrayBuffer.isView(value)) return new Int8Array(value.buffer, value.byteOffset, value.byteLength);
  return new Int8Array(0);
}
