// Exit codes: what a returned command says, as one table. DESIGN.md section 9; docs/cli.md for people.

import type { LeftoverView, RolloutView } from "../deploy/app-view.ts";

export const EXIT = {
  done: 0,
  /** A start or a check failed: what ran before runs. */
  failed: 1,
  /** Usage, configuration, or no agent reachable. Nothing was changed. */
  usage: 2,
  /** Waited too long: a rollout went back to old, a write stands and is not in force everywhere; or we stopped watching (Ctrl-C, --detach) before the end was known. */
  timedOut: 3,
  /** Another rollout of this app runs. Nothing was changed. */
  locked: 4,
  aborted: 5,
  /** Done, except for members that are named. */
  doneExcept: 6,
} as const;

export type ExitCode = (typeof EXIT)[keyof typeof EXIT];

/** Of a rollout as it was last seen; `leftovers` are those of its app. */
export function exitCodeOf(
  rollout: Pick<RolloutView, "state" | "reason"> & Partial<Pick<RolloutView, "except">>,
  leftovers: readonly LeftoverView[],
): ExitCode {
  switch (rollout.state) {
    case "succeeded":
      return leftovers.every(isPastEnd) && (rollout.except ?? []).length === 0 ? EXIT.done : EXIT.doneExcept;
    case "failed":
    case "rolled-back":
      return rollout.reason?.code === "wait-timeout" ? EXIT.timedOut : EXIT.failed;
    case "aborted":
      return EXIT.aborted;
    case "running":
    case "paused":
      return EXIT.timedOut;
  }
}

/** That it is there still says nothing of how its rollout ended: that was to leave it there, for its time. */
export function isPastEnd({ wasKept }: LeftoverView): boolean {
  return wasKept === true;
}

/**
 * Of a rollout whose end nobody saw, since another followed it. Of a deploy `serving` tells what came of it: the release that last became
 * the whole app. Of a stop, of `destroy`, and of what a later release has replaced, nothing does.
 */
export function exitCodeOfMissed(
  {
    app,
    rollout,
    release,
  }: { readonly app: string; readonly rollout: string; readonly release: number | null },
  serving: string | null,
): ExitCode {
  if (release === null || rollout !== `${app}-v${release}`) return EXIT.timedOut;
  const number = Number(serving?.slice(1) ?? 0);
  if (number === release) return EXIT.done;
  return number < release ? EXIT.failed : EXIT.timedOut;
}

/** Of an API error by its code. */
export function exitCodeOfError(code: string): ExitCode {
  if (code === "timed-out") return EXIT.timedOut;
  return code === "locked" ? EXIT.locked : EXIT.usage;
}

export function isOver(rollout: Pick<RolloutView, "state">): boolean {
  return rollout.state !== "running" && rollout.state !== "paused";
}
