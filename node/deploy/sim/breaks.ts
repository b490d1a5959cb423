// Breaks: one protection of a rollout switched off, to see that the invariants notice.

export const BREAKS = {
  "frozen-ack-set": {
    text: "who does not answer is dropped from the ack set of the step",
    seenIn: "rolling: 1 to 1, healthy, proxy-cut",
  },
  "recheck-before-swap": {
    text: "a swap that lost is made again over what stands, and what it rests on is not looked at again",
    seenIn: "rolling: 1 to 1, healthy, none",
  },
} as const;

export type BreakName = keyof typeof BREAKS;

export const BREAK_NAMES = Object.keys(BREAKS) as readonly BreakName[];

export function isBreakName(name: string): name is BreakName {
  return Object.hasOwn(BREAKS, name);
}
