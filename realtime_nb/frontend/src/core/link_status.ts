import type { TransportName } from "./transport.ts";

export type LinkPhase = "idle" | "requesting" | "connecting" | "open" | "lost" | "unreachable" | "refused";

export interface LinkStatus {
  phase: LinkPhase;
  transport: TransportName | null;
  /** Median of the last round trips, null before the first. */
  roundTripMs: number | null;
  /** Open, but the kernel has not answered for three seconds: by comm it cannot while a cell computes. */
  silent: boolean;
  detail: string;
  whatNow: string;
}

export const NO_LINK: LinkStatus = { phase: "idle", transport: null, roundTripMs: null, silent: false, detail: "", whatNow: "" };
