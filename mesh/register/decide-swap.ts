// Decides one compare-and-swap: the epoch is what is compared, and it grows by one with each commit.

/** `refused`: no epoch could make it right. A bug of the proposer, caught before anything is on disk. */
export type SwapDecision =
  | { readonly code: "commit"; readonly epoch: number }
  | { readonly code: "conflict" }
  | { readonly code: "refused"; readonly reason: string };

export interface SwapProposal {
  readonly app: string;
  /** What the proposer read; 0: the app never was. */
  readonly expectedEpoch: number;
  /** The app that the proposed record names. */
  readonly recordApp: string;
  /** Of the committed entry as it will be gossiped. */
  readonly entryBytes: number;
  readonly entryBytesMax: number;
}

/** `currentEpoch` 0: the app never was. */
export function decideSwap(currentEpoch: number, proposal: SwapProposal): SwapDecision {
  const { app, expectedEpoch, recordApp, entryBytes, entryBytesMax } = proposal;
  if (recordApp !== app) {
    return { code: "refused", reason: `a record of ${recordApp} was proposed for ${app}` };
  }
  if (entryBytes > entryBytesMax) {
    return {
      code: "refused",
      reason: `the record of ${app} has ${entryBytes} bytes, an entry at most ${entryBytesMax}`,
    };
  }
  if (currentEpoch !== expectedEpoch) return { code: "conflict" };
  return { code: "commit", epoch: currentEpoch + 1 };
}
