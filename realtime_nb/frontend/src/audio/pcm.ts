export const WIRE_RATE_HZ = 24_000;
export const SAMPLES_PER_MS = WIRE_RATE_HZ / 1000;
/** Ten milliseconds: the resolution of every waveform. */
export const PEAK_SAMPLES = 240;

export function floatToInt16(value: number): number {
  const scaled = Math.round(value * 32768);
  return scaled > 32767 ? 32767 : scaled < -32768 ? -32768 : scaled;
}

/** The PCM16 of a message as samples; copies only when the bytes are not aligned. An odd last byte is dropped. */
export function bytesToInt16(bytes: Uint8Array): Int16Array {
  const length = bytes.byteLength >> 1;
  if (bytes.byteOffset % 2 === 0) return new Int16Array(bytes.buffer, bytes.byteOffset, length);
  return new Int16Array(bytes.slice(0, length * 2).buffer);
}

/** Min and max of each `blockSamples`, as int8 pairs (min, max, min, max, …). */
export function peaksOf(samples: Int16Array, blockSamples = PEAK_SAMPLES): Int8Array {
  const blocks = Math.ceil(samples.length / blockSamples);
  const peaks = new Int8Array(blocks * 2);
  for (let block = 0; block < blocks; block += 1) {
    let low = 0;
    let high = 0;
    const end = Math.min(samples.length, (block + 1) * blockSamples);
    for (let i = block * blockSamples; i < end; i += 1) {
      const sample = samples[i] as number;
      if (sample < low) low = sample;
      if (sample > high) high = sample;
    }
    peaks[2 * block] = low >> 8;
    peaks[2 * block + 1] = high >> 8;
  }
  return peaks;
}

export function decodeBase64Pcm(text: string): Int16Array {
  const binary = atob(text);
  const bytes = new Uint8Array(binary.length);
  for (let i = 0; i < binary.length; i += 1) bytes[i] = binary.charCodeAt(i);
  return bytesToInt16(bytes);
}
