// Judge: the invariants of a rollout, asked of each commit from what is true, not from what any driver was told.

import assert from "node:assert/strict";
import {
  type AppRecord,
  type CommittedApp,
  type DesiredVm,
  isExclusive,
  isPinned,
  type MemberName,
  type Rollout,
  type RolloutStep,
  type RolloutStepReport,
  type VmEntry,
  type VmName,
} from "../../../mesh/index.ts";
import { hasEnded } from "../core/facts.ts";
import { isAlone } from "../core/handoff.ts";

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
  /** Hosts that are off, as a person said since they are held dead. */
  readonly off?: ReadonlySet<MemberName>;
  /** VMs that their watchdogs ended on hosts that nobody hears. */
  readonly ended?: ReadonlySet<VmName>;
  /** What the gates of hosts have on their disks; null or absent: there are none. */
  readonly gates?: ReadonlyMap<MemberName, CommittedApp> | null;
  /** Requests that the new release got in the bake in force, by proxy and start, as last told. */
  readonly counted?: ReadonlyMap<MemberName, ReadonlyMap<string, number>>;
}

/** By the names that the app has, by a preview name, or for a page. */
export function routesTo(table: CommittedApp | null, vm: VmName): boolean {
  const routed = table?.record.vms.find((candidate) => candidate.vm === vm);
  if (routed === undefined || table === null) return false;
  return ["opening", "serving", "standby"].includes(routed.phase) || isPinned(routed, table.record);
}

/** One step of a rollout at most is its release command, and it is the first. */
function judgeCommand({ rollout }: AppRecord): void {
  const steps = [...(rollout?.history ?? []), ...(rollout?.step == null ? [] : [rollout.step])];
  for (const { kind, number } of steps) {
    if (kind === "command") assert.equal(number, 1, "the release command is a later step, or one more");
  }
}

/** `no-blind-promotion`: a weight is left behind once every proxy that can be heard has told, and the new release got what was asked for. */
function judgeBake(
  before: AppRecord | null,
  { rollout, releases }: AppRecord,
  { proxies, counted }: Truth,
): void {
  const step = before?.rollout?.step;
  const isOver = step?.kind === "bake" && rollout?.step !== null && rollout?.step?.number !== step.number;
  if (!isOver || rollout == null || counted === undefined) return;
  if (rollout.direction === "back" || rollout.id !== before?.rollout?.id) return;
  const min = releases.find(({ number }) => number === rollout.to)?.spec.deploy.canary?.minRequests ?? 0;
  const all = [...counted.values()].flatMap((byStart) => [...byStart.values()]);
  assert.ok(all.reduce((left, right) => left + right, 0) >= min, "a weight was left with too few requests");
  for (const [name, { registered }] of proxies) {
    assert.ok(!registered || counted.has(name), `a weight was left without a word of ${name}`);
  }
}

/** They say of two releases or more that serve, and to one of them at least something goes. */
function judgeWeights({ weights, vms }: AppRecord): void {
  if (weights === undefined) return;
  const serving = new Set(vms.filter(({ phase }) => phase === "serving").map(({ release }) => release));
  assert.ok(serving.size > 1, "weights, and no two releases serve");
  for (const { release } of weights)
    assert.ok(serving.has(release), `v${release} has a weight, and no VM serves`);
}

/** The rollout that placed a hold lifts it. */
function judgeHold(before: AppRecord | null, record: AppRecord, truth: Truth): void {
  const { rollout, hold } = record;
  if (hold?.by === "rollout") {
    assert.equal(rollout?.state, "running", `a rollout's hold, and ${rollout?.id} is ${rollout?.state}`);
    const serving = record.vms.filter(({ phase, release }) => phase === "serving" && isOld(record, release));
    assert.deepEqual(serving, [], "requests are held, and what the hold is to close serves");
  }
  if (before?.hold?.by === "rollout" && hold === undefined) judgeLifted(before, record, truth);
  judgeSides(record);
}

function isOld({ rollout, vms }: AppRecord, release: number): boolean {
  const closed = rollout?.step?.vms ?? [];
  return vms.some((vm) => closed.includes(vm.vm) && vm.release === release);
}

/** `atomic-cutover`: whatever is sent on after a hold, no gate has open what served before it, unless that serves on. */
function judgeLifted(before: AppRecord, record: AppRecord, { gates, off, proxies }: Truth): void {
  const hold = lastHoldOf(before);
  // Of an app that never runs twice what was closed ends before another one is started, and all of that is held.
  if (isAlone(before) && hold === undefined) return;
  assert.ok(hold !== undefined, "a rollout's hold is lifted, and no step of it was one");
  if (!record.vms.some(({ phase }) => phase === "serving")) return;
  const closed = record.vms.filter(({ vm, phase }) => hold.vms.includes(vm) && phase !== "serving");
  const isOpen = (table: CommittedApp | null | undefined, vm: VmName) =>
    table?.record.hold === undefined &&
    table?.record.vms.some((one) => one.vm === vm && one.phase === "serving") === true;
  for (const { vm, host } of closed) {
    if (off?.has(host) === true) continue;
    if (gates != null) {
      assert.ok(!isOpen(gates.get(host), vm), `${vm} is open at the gate of ${host}, and another serves`);
      continue;
    }
    for (const [name, proxy] of proxies)
      assert.ok(!proxy.registered || !isOpen(proxy.table, vm), `${name} sends to ${vm}, and another serves`);
  }
}

function lastHoldOf({ rollout }: AppRecord): Pick<RolloutStep, "kind" | "vms"> | undefined {
  return rollout === null ? undefined : stepsOf(rollout).findLast(({ kind }) => kind === "hold");
}

/** Those that are over, and the one in force. */
function stepsOf({ history, step }: Rollout): readonly (RolloutStep | RolloutStepReport)[] {
  return step === null ? history : [...history, step];
}

/** `exclusive`: no record wants two VMs to run of which one must run alone, and one that is to run begins when no other one may, save its host keeps the order. */
function judgeAlone(before: AppRecord | null, record: AppRecord, { entries, off, ended }: Truth): void {
  const specOf = (number: number) => record.releases.find((release) => release.number === number)?.spec;
  const running = record.vms.filter(({ phase }) => phase !== "prepared");
  const alone = running.filter(({ release }) => {
    const spec = specOf(release);
    return spec !== undefined && isExclusive(spec);
  });
  const isSame = (vm: DesiredVm) => before?.vms.some((old) => old.vm === vm.vm && old.phase !== "prepared");
  for (const vm of running) {
    const beside = running.filter(
      (other) => other.vm !== vm.vm && (alone.includes(other) || alone.includes(vm)),
    );
    assert.deepEqual(beside, [], `${vm.vm} is to run, and another one that must not run beside it`);
    if (alone.length === 0 || isSame(vm)) continue;
    for (const [name, { entry }] of entries) {
      const runs = (entry.state === "running" || entry.state === "stopping") && ended?.has(name) !== true;
      const isOrdered = entry.host === vm.host || off?.has(entry.host) === true;
      assert.ok(name === vm.vm || !runs || isOrdered, `${vm.vm} is to run, and ${name} does`);
    }
  }
}

/** `atomic-cutover`: of an atomic deploy that splits nothing no record has old and new serve. */
function judgeSides({ rollout, releases, vms }: AppRecord): void {
  const spec = releases.find(({ number }) => number === rollout?.to)?.spec;
  if (rollout?.kind !== "deploy" || spec?.deploy.cutover !== "atomic") return;
  if (stepsOf(rollout).some(({ weights }) => weights !== undefined)) return;
  const serving = vms.filter(({ phase }) => phase === "serving");
  const isNew = serving.filter(({ release }) => release === rollout.to).length;
  assert.ok(isNew === 0 || isNew === serving.length, "old and new serve at once in an atomic cutover");
}

function keepsServing({ rollout }: AppRecord): boolean {
  const keeps = ["deploy", "move", "weigh", "scale", "restart"].includes(rollout?.kind ?? "");
  // Nothing ran before: there is nothing that could serve instead.
  const hadNothing = rollout?.kind === "scale" ? rollout.before === 0 : rollout?.targets.length === 0;
  return keeps && !(rollout?.direction === "back" && hadNothing);
}

/** As many serve as shall, what was to go is gone, and all that it started is healthy. */
function judgeWithin(
  record: AppRecord,
  rollout: Rollout,
  entries: Truth["entries"],
  dead: Truth["dead"],
): void {
  const serving = record.vms.filter((vm) => vm.phase === "serving");
  assert.equal(serving.length, rollout.count, "not as many serve as shall");
  const started = rollout.history.flatMap(({ kind, vms }) => (kind === "start" ? vms : []));
  for (const { vm, release } of serving) {
    assert.equal(release, rollout.to);
    assert.ok(!rollout.targets.includes(vm), `${vm} serves on`);
    if (started.includes(vm)) assert.equal(entries.get(vm)?.entry.health, "healthy", `${vm} is not healthy`);
  }
  for (const vm of rollout.targets) {
    const isLeft = entries.has(vm) && dead?.has(entries.get(vm)?.entry.host as MemberName) !== true;
    assert.ok(!isLeft, `${vm} still runs`);
  }
}

/** What was committed to follow a rollout follows it, and nothing comes between: of what ends in that commit the next record tells. */
export function judgeSuccession(before: AppRecord | null, { rollout }: AppRecord): void {
  const old = before?.rollout;
  if (old?.next === undefined || rollout == null || old.id === rollout.id) return;
  assert.equal(
    rollout.superseded?.id,
    old.id,
    `one-register: ${rollout.id} came between ${old.id} and its next`,
  );
  assert.equal(rollout.to, old.next, `one-register: ${rollout.id} begins in the place of v${old.next}`);
}

export class Judge {
  /** VMs that some record ever let a proxy send requests to. */
  readonly #reached = new Set<VmName>();

  /** `no-early-stop`, `command-once`, and: where one served, one serves. */
  judgeCommit(before: AppRecord | null, { record }: CommittedApp, truth: Truth): void {
    judgeCommand(record);
    judgeSuccession(before, record);
    judgeBake(before, record, truth);
    for (const { vm, phase } of record.vms) {
      if (phase === "opening" || phase === "serving" || phase === "standby") this.#reached.add(vm);
    }
    const removed = (before?.vms ?? []).filter((vm) => !record.vms.some((left) => left.vm === vm.vm));
    for (const vm of removed) {
      if (this.#reached.has(vm.vm) && !isOpeningLeft(vm, truth)) judgeRemoval(vm, truth, record);
    }
    const served = before?.vms.some((vm) => vm.phase === "serving") === true;
    judgeWeights(record);
    judgeHold(before, record, truth);
    judgeAlone(before, record, truth);
    if (served && keepsServing(record) && record.hold === undefined) {
      const serving = record.vms.filter((vm) => vm.phase === "serving");
      assert.ok(serving.length > 0, "no VM serves any more");
    }
  }

  /** `no-false-success` and `no-orphan`, when it is decided: what happens while the swap is on its way, no driver can know. */
  judgeSuccess(before: AppRecord | null, record: AppRecord, { entries, dead }: Truth): void {
    const { rollout } = record;
    if (rollout?.state !== "succeeded" || before?.rollout?.state !== "running") return;
    const isDead = (vm: VmName) => dead?.has(entries.get(vm)?.entry.host as MemberName) === true;
    judgeExcept(rollout, (vm) => (isDead(vm) ? entries.get(vm)?.entry.host : undefined));
    if (rollout.kind === "destroy") {
      const left = [...entries.keys()].filter((vm) => !isDead(vm));
      assert.deepEqual(left, [], "destroyed, and a VM is left");
      return;
    }
    const runs = (vm: VmName) => entries.has(vm) && !isDead(vm);
    if (rollout.kind === "move") judgeMove(rollout, record, runs);
    if (rollout.kind === "scale" || rollout.kind === "restart") judgeWithin(record, rollout, entries, dead);
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
    const isLeft = (vm: VmName) =>
      entries.has(vm) && !isDead(vm) && !record.vms.some((left) => left.vm === vm);
    for (const vm of rollout.targets) assert.ok(!isLeft(vm), `${vm} still runs`);
  }
}

/** As many serve as were asked for, and what had to leave runs no more, as far as anybody can say. */
function judgeMove({ targets, to, count }: Rollout, { vms }: AppRecord, runs: (vm: VmName) => boolean): void {
  const serving = vms.filter(({ phase, release }) => phase === "serving" && release === to);
  assert.ok(serving.length >= (count ?? 1), "moved, and fewer serve than before");
  for (const vm of targets) assert.ok(!runs(vm), `${vm} still runs`);
  for (const { vm, host } of vms) assert.ok(!targets.includes(vm), `${vm} is on ${host} still`);
}

/** Exit code 0 says that all was seen: a host by whose fence a step went on, or that may still run what a step stopped, is named. */
function judgeExcept(rollout: Rollout, deadHostOf: (vm: VmName) => MemberName | undefined): void {
  for (const { kind, vms, fenced = [] } of rollout.history) {
    const left = kind === "stop" ? vms.map(deadHostOf) : [];
    for (const host of [...fenced.map((fence) => fence.host), ...left])
      if (host !== undefined) assert.ok(rollout.except?.includes(host), `${host} is not named at the end`);
  }
}

/** Of what is opening: it has ended, or a dead host has it, which ends it when it is back. */
function isOpeningLeft({ vm, host, phase }: DesiredVm, { entries, dead }: Truth): boolean {
  return phase === "opening" && (hasEnded(entries.get(vm)?.entry) || dead?.has(host) === true);
}

/**
 * Its host is off. Behind a gate: that has closed it, or it was replaced on a host that is held dead, which stops it when it is back.
 * Else no proxy that did not leave routes to it or has a request on it.
 */
function judgeRemoval(
  { vm, host }: DesiredVm,
  { proxies, gates, off, dead }: Truth,
  record: AppRecord,
): void {
  if (off?.has(host) === true) return;
  if (gates != null) {
    const { kind } = record.rollout ?? {};
    const isReplaced = (kind === "repair" || kind === "wake") && dead?.has(host) === true;
    const isClosed = gates.has(host) && !routesTo(gates.get(host) ?? null, vm);
    assert.ok(
      isClosed || isReplaced || off?.has(host),
      `${vm} was removed before the gate of ${host} closed`,
    );
    return;
  }
  for (const [name, proxy] of proxies) {
    if (!proxy.registered) continue;
    assert.ok(!routesTo(proxy.table, vm), `${vm} was removed while ${name} routes to it`);
    assert.equal(proxy.inFlight.get(vm) ?? 0, 0, `${vm} was removed with requests of ${name} in flight`);
  }
}
