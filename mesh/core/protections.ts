// Protections: what keeps the invariants. All are on, but for a simulation that switches one off to show that its loss is
// noticed (`npm run sim -- --break NAME`).

export interface Protections {
  /** A stretch that begins after what is held is asked for. */
  readonly gapPull: boolean;
  /** Digests on connect, on a mismatch and periodically. */
  readonly antiEntropy: boolean;
  /** Collected tombstones raise the compacted version, and wait for their grace. */
  readonly tombstoneGrace: boolean;
  /** A new start takes the place of the one before only when it is complete. */
  readonly buildAside: boolean;
  /** Signature and root hash of a state are checked before it is in force. */
  readonly rootCheck: boolean;
}

export const ALL_PROTECTIONS: Protections = {
  gapPull: true,
  antiEntropy: true,
  tombstoneGrace: true,
  buildAside: true,
  rootCheck: true,
};
