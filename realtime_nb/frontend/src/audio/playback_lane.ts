const STREAM_SLOTS = 64;

/** What became of a stream; filled in place so that the audio thread allocates nothing. */
export interface StreamCount {
  id: number;
  rendered: number;
  underruns: number;
  drained: boolean;
}

interface Slot extends StreamCount {
  /** Ring position where the stream ends; Infinity while more may come. */
  end: number;
  jitter: number;
  waiting: boolean;
  dirty: boolean;
}

function emptySlot(): Slot {
  return { id: 0, rendered: 0, underruns: 0, drained: false, end: Infinity, jitter: 0, waiting: true, dirty: false };
}

/**
 * One lane of playback: a ring allocated once, streams that follow each other in it, and exact counts of what was rendered.
 *
 * Positions count samples since the lane began, at the rate of the audio device. A stream starts when `jitter` samples wait
 * (or all of it does); when the ring runs dry in the middle, silence comes out, the underrun is counted and it waits again.
 */
export class PlaybackLane {
  readonly capacity: number;
  overflowed = 0;
  #ring: Int16Array;
  #read = 0;
  #write = 0;
  #slots: Slot[] = Array.from({ length: STREAM_SLOTS }, emptySlot);
  #first = 0;
  #count = 0;

  constructor(capacity: number) {
    this.capacity = capacity;
    this.#ring = new Int16Array(capacity);
  }

  get buffered(): number {
    return this.#write - this.#read;
  }

  get idle(): boolean {
    return this.#count === 0;
  }

  /** A stream follows the last one, which is thereby ended. False when too many wait. */
  begin(id: number, jitter: number): boolean {
    if (this.#count === STREAM_SLOTS) return false;
    this.end(this.#last()?.id ?? -1);
    const slot = this.#at(this.#count);
    slot.id = id;
    slot.rendered = 0;
    slot.underruns = 0;
    slot.drained = false;
    slot.end = Infinity;
    slot.jitter = jitter;
    slot.waiting = true;
    slot.dirty = true;
    this.#count += 1;
    return true;
  }

  /** Samples for the stream that began last; what does not fit is dropped and counted. */
  write(id: number, samples: Int16Array): void {
    if (this.#last()?.id !== id) return;
    const fits = Math.min(samples.length, this.capacity - this.buffered);
    this.overflowed += samples.length - fits;
    const at = this.#write % this.capacity;
    const head = Math.min(fits, this.capacity - at);
    this.#ring.set(samples.subarray(0, head), at);
    this.#ring.set(samples.subarray(head, fits), 0);
    this.#write += fits;
  }

  end(id: number): void {
    const slot = this.#last();
    if (slot && slot.id === id && slot.end === Infinity) slot.end = this.#write;
  }

  /** Add the lane's next samples to `output`. */
  render(output: Float32Array, gain: number): void {
    let done = 0;
    while (done < output.length && this.#count > 0) {
      const slot = this.#at(0);
      const available = Math.min(slot.end, this.#write) - this.#read;
      if (slot.waiting && available < slot.jitter && slot.end === Infinity) return;
      slot.waiting = false;
      const take = Math.min(available, output.length - done);
      this.#mix(output, done, take, gain);
      slot.rendered += take;
      done += take;
      slot.dirty = slot.dirty || take > 0;
      if (this.#read >= slot.end) {
        this.#finish(slot);
      } else if (done < output.length) {
        slot.underruns += 1;
        slot.waiting = true;
        slot.dirty = true;
        return;
      }
    }
  }

  #mix(output: Float32Array, offset: number, length: number, gain: number): void {
    const scale = gain / 32768;
    let at = this.#read % this.capacity;
    for (let i = 0; i < length; i += 1) {
      output[offset + i] = (output[offset + i] as number) + (this.#ring[at] as number) * scale;
      at += 1;
      if (at === this.capacity) at = 0;
    }
    this.#read += length;
  }

  /** A finished stream stays in its slot until its last count was reported. */
  #finish(slot: Slot): void {
    slot.drained = true;
    slot.dirty = true;
    this.onDrained?.(slot);
    this.#first = (this.#first + 1) % STREAM_SLOTS;
    this.#count -= 1;
  }

  /** Told at once when a stream was rendered to its end. */
  onDrained: ((count: StreamCount) => void) | null = null;

  /** Counts that changed since the last call. */
  report(tell: (count: StreamCount) => void): void {
    for (let i = 0; i < this.#count; i += 1) {
      const slot = this.#at(i);
      if (!slot.dirty) continue;
      slot.dirty = false;
      tell(slot);
    }
  }

  /** Drop everything queued; tells the final count of each stream that was not through. */
  flush(tell: (count: StreamCount) => void): void {
    for (let i = 0; i < this.#count; i += 1) tell(this.#at(i));
    this.#first = (this.#first + this.#count) % STREAM_SLOTS;
    this.#count = 0;
    this.#read = this.#write;
  }

  #at(index: number): Slot {
    return this.#slots[(this.#first + index) % STREAM_SLOTS] as Slot;
  }

  #last(): Slot | null {
    return this.#count > 0 ? this.#at(this.#count - 1) : null;
  }
}
