/** 20 ms at 24 kHz. */
export const FRAME_SAMPLES = 480;

/** Capture worklet → main thread; the buffer goes back through the port to be used again. Times are context seconds. */
export interface FrameMessage {
  frame: Int16Array;
  /** When the frame's first sample was captured. */
  at: number;
  /** When the message was posted. */
  now: number;
  /** Frames lost so far because the page did not give buffers back in time. */
  dropped: number;
}
