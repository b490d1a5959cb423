// Within: rollouts that stay within one release, and are a person's word: a scale, a restart. What shall go is named when they begin.

import type { AppRecord, DesiredVm, Rollout, VmName } from "../../../mesh/index.ts";
import { type Facts, isElsewhere, isHealthy, observed } from "./facts.ts";
import { isSound } from "./last-sound.ts";
import { type Want, wantGone, wantHealthy, wantWhole } from "./standing.ts";

/** Of a person's word, and not of the coordinator's own: it has a way back. */
export function isScaleOrRestart({ kind }: Pick<Rollout, "kind">): boolean {
  return kind === "scale" || kind === "restart";
}

/** For the way back: of several that could serve on, those that are known to be well come first, and those that were there before. */
export function soundFirst({ vms }: AppRecord, facts: Facts): readonly DesiredVm[] {
  return [...vms].sort((left, right) => Number(isSound(right, facts)) - Number(isSound(left, facts)));
}

/** A scale or a restart started it. */
export function isFresh(rollout: Rollout, { vm, release }: Pick<DesiredVm, "vm" | "release">): boolean {
  const { kind, to, targets, step, history } = rollout;
  if (kind === "restart") return release === to && !targets.includes(vm);
  const steps = [...history, ...(step === null ? [] : [step])];
  return steps.some((one) => one.kind === "start" && one.vms.includes(vm));
}

/** It takes nothing back any more: all that it takes out of service is out of the record, or about to be stopped. */
export function hasTakenOver({ vms, rollout }: AppRecord): boolean {
  const { targets = [] } = rollout ?? {};
  const left = vms.filter(
    ({ vm, phase }) => targets.includes(vm) && (phase === "serving" || rollout?.kind === "scale"),
  );
  return targets.length > 0 && left.length === 0;
}

/** As many serve as before. */
export function isAsBefore({ vms, rollout }: AppRecord): boolean {
  const serving = vms.filter(({ phase, release }) => phase === "serving" && release === rollout?.to);
  return serving.length >= (rollout?.before ?? 0);
}

/** What is missing of the post-condition: as many serve as shall, what is new is healthy, and of what shall go nothing is there. */
export function missingOfWithin({ vms, app }: AppRecord, rollout: Rollout, facts: Facts): readonly Want[] {
  const { kind, to, targets, count = 0 } = rollout;
  const serving = vms.filter(({ phase, release }) => phase === "serving" && release === to);
  const fresh = serving.filter((vm) => isFresh(rollout, vm));
  const unwell = fresh.filter((vm) => !isHealthy(observed(facts, vm)));
  const named = new Set(vms.map(({ vm }) => vm));
  const left = targets.filter((vm) => named.has(vm) || isElsewhere(facts, vm));
  const counted = kind === "restart" ? fresh.length : serving.length;
  return [
    ...unwell.map(({ vm, host }) => wantHealthy(vm, host, facts)),
    ...left.map((vm) => wantGone(vm, undefined, facts)),
    ...(counted === count ? [] : [wantWhole(app, `${counted} of ${count} VMs of v${to} serve`)]),
  ];
}

/** So many VMs of `serving` as go when fewer shall serve: those that are not well, then on hosts that take nothing new, then where most are. */
export function leastNeeded(
  serving: readonly DesiredVm[],
  goes: number,
  { facts }: { readonly facts: Facts },
): readonly VmName[] {
  const left = [...serving];
  const gone: VmName[] = [];
  while (gone.length < goes) {
    const ofHost = (vm: DesiredVm) => left.filter(({ host }) => host === vm.host).length;
    const need = (vm: DesiredVm): readonly number[] => [
      Number(isSound(vm, facts)),
      Number(facts.hosts.get(vm.host)?.cordoned !== true),
      -ofHost(vm),
    ];
    // Of equals the youngest.
    const least = left.reduce((one, other) => (compared(need(other), need(one)) <= 0 ? other : one));
    left.splice(left.indexOf(least), 1);
    gone.push(least.vm);
  }
  return gone;
}

function compared(left: readonly number[], right: readonly number[]): number {
  const at = left.findIndex((value, index) => value !== right[index]);
  return at < 0 ? 0 : (left[at] ?? 0) - (right[at] ?? 0);
}
