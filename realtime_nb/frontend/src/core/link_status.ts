import type { TransportName } from "./transport.ts";

export type LinkPhase = "idle" | "requesting" | "connecting" | "open" | "lost" | "unreachable" | "refused";

export interface LinkStatus {
  phase: LinkPhase;
  transport: TransportName | null;
  /** Median of the last round trips, null before the first. */
  roundTripMs: number | null;
  detail: string;
  whatNow: string;
}

export const NO_LINK: LinkStatus = { phase: "idle", transport: null, roundTripMs: null, detail: "", whatNow: "" };
