// Exchange: an old VM that is out of routing already, and is well, serves again if the new one is not that took its place. Of a restart on its way
// back, and of a move that cannot go on. Counted as one that serves, a new VM that ended would have the last that runs stopped.

import type { AppRecord, DesiredVm, VmName } from "../../../mesh/index.ts";
import type { Facts } from "./facts.ts";
import { isSound } from "./last-sound.ts";
import { isFresh } from "./within.ts";

interface Exchange {
  /** Cordoned: they serve again. */
  readonly back: readonly VmName[];
  /** Serving: they make way, as many. */
  readonly out: readonly VmName[];
}

/** None as long as enough serve that are known to be well. */
export function exchangeOf({ vms, rollout }: AppRecord, facts: Facts): Exchange {
  if (rollout === null) return { back: [], out: [] };
  const { to, targets, count = 0, before = count } = rollout;
  const serving = vms.filter(({ phase, release }) => phase === "serving" && release === to);
  const isOld = ({ vm, phase }: DesiredVm) => phase === "cordoned" && targets.includes(vm);
  const old = vms.filter((vm) => isOld(vm) && isSound(vm, facts));
  const unwell = serving.filter((vm) => isFresh(rollout, vm) && !isSound(vm, facts));
  const missing = before - serving.filter((vm) => isSound(vm, facts)).length;
  const size = Math.max(0, Math.min(missing, old.length, unwell.length));
  const names = (some: readonly DesiredVm[]) => some.slice(0, size).map(({ vm }) => vm);
  return { back: names(old), out: names(unwell) };
}
