// Judge: the invariants of a rollout, asked of each commit from what is true, not from what any driver was told.

import assert from "node:assert/strict";
import type { AppRecord, CommittedApp, MemberName, VmEntry, VmName } from "../../../mesh/index.ts";

/** A proxy as it really is. */
interface JudgedProxy {
  /** False: it has left, and serves nobody. */
  readonly registered: boolean;
  readonly table: CommittedApp | null;
  readonly inFlight: ReadonlyMap<VmName, number>;
}

export interface Truth {
  readonly proxies: ReadonlyMap<MemberName, JudgedProxy>;
  /** What the hosts say of VMs, by VM; of one that does not run, nothing. */
  readonly entries: ReadonlyMap<VmName, { readonly entry: VmEntry }>;
  /** Hosts that are held dead: what they run is not known. */
  readonly dead?: ReadonlyMap<MemberName, unknown>;
}

/** By the names that the app has, or by a preview name. */
export function routesTo(table: CommittedApp | null, vm: VmName): boolean {
  const routed = table?.record.vms.find((candidate) => candidate.vm === vm);
  return routed?.phase === "serving" || routed?.phase === "standby";
}

/** One step of a rollout at most is its release command, and it is the first. */
function judgeCommand({ rollout }: AppRecord): void {
  const steps = [...(rollout?.history ?? []), ...(rollout?.step == null ? [] : [rollout.step])];
  for (const { kind, number } of steps) {
    if (kind === "command") assert.equal(number, 1, "the release command is a later step, or one more");
  }
}

export class Judge {
  /** VMs that some record ever let a proxy send requests to. */
  readonly #reached = new Set<VmName>();

  /** `no-early-stop`, `command-once`, and: where one served, one serves. */
  judgeCommit(before: AppRecord | null, { record }: CommittedApp, truth: Truth): void {
    judgeCommand(record);
    for (const { vm, phase } of record.vms) {
      if (phase === "serving" || phase === "standby") this.#reached.add(vm);
    }
    const removed = (before?.vms ?? []).filter((vm) => !record.vms.some((left) => left.vm === vm.vm));
    for (const { vm } of removed) if (this.#reached.has(vm)) judgeRemoval(vm, truth);
    const served = before?.vms.some((vm) => vm.phase === "serving") === true;
    // Nothing ran before: there is nothing that could serve instead.
    const isLaunchOver = record.rollout?.direction === "back" && record.rollout.targets.length === 0;
    if (served && record.rollout?.kind === "deploy" && !isLaunchOver) {
      const serving = record.vms.filter((vm) => vm.phase === "serving");
      assert.ok(serving.length > 0, "no VM serves any more");
    }
  }

  /** `no-false-success` and `no-orphan`, when it is decided: what happens while the swap is on its way, no driver can know. */
  judgeSuccess(before: AppRecord | null, record: AppRecord, { entries, dead }: Truth): void {
    const { rollout } = record;
    if (rollout?.state !== "succeeded" || before?.rollout?.state !== "running") return;
    if (rollout.kind === "destroy") {
      assert.equal(entries.size, 0, "destroyed, and a VM is left");
      return;
    }
    if (rollout.kind !== "deploy") return;
    const count = record.releases.find((release) => release.number === rollout.to)?.spec.count;
    const { kept } = record;
    const whole = record.vms.filter((vm) => vm.phase !== "cordoned" || vm.release !== kept?.release);
    assert.equal(whole.length, count, "the record does not hold what was asked for");
    for (const { vm, release, phase } of whole) {
      assert.equal(release, rollout.to);
      assert.equal(phase, "serving");
      assert.equal(entries.get(vm)?.entry.health, "healthy", `${vm} is not healthy`);
    }
    const isDead = (vm: VmName) => dead?.has(entries.get(vm)?.entry.host as MemberName) === true;
    const isLeft = (vm: VmName) =>
      entries.has(vm) && !isDead(vm) && !record.vms.some((left) => left.vm === vm);
    for (const vm of rollout.targets) assert.ok(!isLeft(vm), `${vm} still runs`);
  }
}

/** No proxy that did not leave routes to it or has a request on it. */
function judgeRemoval(vm: VmName, { proxies }: Truth): void {
  for (const [name, proxy] of proxies) {
    if (!proxy.registered) continue;
    assert.ok(!routesTo(proxy.table, vm), `${vm} was removed while ${name} routes to it`);
    assert.equal(proxy.inFlight.get(vm) ?? 0, 0, `${vm} was removed with requests of ${name} in flight`);
  }
}
