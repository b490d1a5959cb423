// Rollout words: the closed lists that a rollout is told in: how it goes, what it is, who holds.

export const STRATEGY_NAMES = ["rolling", "immediate", "bluegreen", "canary", "handoff"] as const;

/** How requests change over from the old release to the new one. Default `fast`. */
export const CUTOVERS = ["fast", "atomic", "sticky", "pinned"] as const;
export type Cutover = (typeof CUTOVERS)[number];

/**
 * `running` is the only state in which it moves; `paused`: it takes no step and its deadlines stand still until somebody resumes or
 * aborts it; `failed` means that there was nothing to go back to, or of a `weigh` that not all have answered: it stands.
 */
export const ROLLOUT_STATES = ["running", "paused", "succeeded", "failed", "rolled-back", "aborted"] as const;
export type RolloutState = (typeof ROLLOUT_STATES)[number];

/**
 * `repair`: the coordinator itself replaces VMs of a host that died. `move`: it has them run elsewhere, since their host is drained. `weigh`: a
 * person splits the requests, or sends all back. `scale`: the release that serves gets more VMs, or fewer. `restart`: each of its VMs makes
 * way for a new one. `sleep`, `wake`: the coordinator stops what nobody asks for, and starts it again for who does.
 */
export const ROLLOUT_KINDS = [
  "deploy",
  "stop",
  "destroy",
  "repair",
  "move",
  "weigh",
  "scale",
  "restart",
  "sleep",
  "wake",
] as const;
export type RolloutKind = (typeof ROLLOUT_KINDS)[number];

/**
 * Proxies keep the app's requests, and send none to a VM, until it is lifted: by a later commit, or by the word of its host that a VM which is
 * `opening` is healthy, never by a clock. A person's is lifted by a commit alone. `rollout`: the step
 * `hold` placed it, and the rollout lifts it. `person`: `grapevine hold`, until `grapevine release`. `launch`: no release has served yet.
 * `idle`: the app sleeps, and a request wakes it.
 */
export const HOLDERS = ["rollout", "person", "launch", "idle"] as const;

/** It is not over: what it brought is its own still, and no other begins. */
export function isUnderWay(rollout: { readonly state: RolloutState } | null | undefined): boolean {
  return rollout?.state === "running" || rollout?.state === "paused";
}
