// Judges: the invariants of a rollout by their names, asked of each commit, each stop and each success from what is true, not from what
// any driver was told. `no-dispatch-to-closed` is judged where a gate lets a request through, `executed-once` and `no-failed-request`
// where a request ends.

import assert from "node:assert/strict";
import {
  type AppRecord,
  type CommittedApp,
  type DesiredVm,
  isSameWeights,
  isUnderWay,
  type MemberName,
  type VmName,
} from "../../mesh/index.ts";
import type { ObservedVm } from "../../node/deploy/core/facts.ts";
import { Judge, judgeSuccession } from "../../node/deploy/testing/judge.ts";
import { isOpenBy } from "../../proxy-agent/core/reached-vms.ts";
import { CutoverJudge } from "./cutover-judge.ts";
import type { SimCluster } from "./sim-cluster.ts";
import { REPAIR_AFTER_MS } from "./sim-driver.ts";
import type { SimHost, SimVm } from "./sim-host.ts";
import type { SimProxy } from "./sim-proxy.ts";

export interface Truth {
  readonly hosts: ReadonlyMap<MemberName, SimHost>;
  readonly proxies: ReadonlyMap<MemberName, SimProxy>;
  /** Hosts that the drivers hold dead, since when, milliseconds since 1970. */
  readonly dead: ReadonlyMap<MemberName, number>;
}

/** What a driver rests a decision on. */
interface Known {
  readonly entries: ReadonlyMap<VmName, ObservedVm>;
  /** Hosts that it holds dead, since when, milliseconds since 1970. */
  readonly dead: ReadonlyMap<MemberName, number>;
}

type Expired = Pick<SimCluster, "record" | "isAnyHarmed" | "scenario">;

export class Judges {
  /** VMs that some record ever let a proxy send requests to. */
  readonly #reached = new Set<VmName>();
  readonly #success = new Judge();
  readonly #commands = new Set<VmName>();
  readonly cutover: CutoverJudge = new CutoverJudge();

  judgeCommit(before: AppRecord | null, committed: CommittedApp, truth: Truth): void {
    const { record } = committed;
    judgeOrder(before, record);
    judgeHold(before, record);
    judgeSleep(record);
    this.cutover.noteCommit(committed);
    judgeSuccession(before, record);
    for (const { vm } of record.vms.filter(isOpenBy(record))) this.#reached.add(vm);
    const left = new Set(record.vms.map(({ vm }) => vm));
    const { kind } = record.rollout ?? {};
    const isReplacedDead = ({ host, phase }: DesiredVm) =>
      (kind === "repair" || kind === "wake" || phase === "opening") && truth.dead.has(host);
    for (const vm of before?.vms ?? []) {
      if (!left.has(vm.vm) && this.#reached.has(vm.vm) && !isReplacedDead(vm))
        judgeRemoval(vm, truth.hosts.get(vm.host), truth);
    }
    const served = before?.vms.some(({ phase }) => phase === "serving") === true;
    // What is held waits, and is answered by what serves next.
    const serves =
      isFirst(record) || record.hold !== undefined || record.vms.some(({ phase }) => phase === "serving");
    assert.ok(!served || serves, "no-failed-request: no VM serves any more");
    judgeProxies(before, record, truth);
  }

  /** At its start, whatever became of its driver or its host before. */
  judgeCommand(vm: VmName): void {
    assert.ok(!this.#commands.has(vm), "command-once: the release command is started twice");
    this.#commands.add(vm);
  }

  /** A request was held for as long as one may be: a person does that, nothing else unless something broke, or its proxy heard nobody. */
  judgeExpiry({ wasCut }: SimProxy, { record, isAnyHarmed, scenario }: Expired): void {
    const isMeant = scenario.disturbance === "holds" || record?.hold?.by === "person";
    assert.ok(
      isMeant || wasCut || isAnyHarmed,
      "no-failed-request: a request is held for too long, and nothing broke",
    );
  }

  /** At the stop itself. */
  judgeStop(host: SimHost, { entry, requests }: SimVm, truth: Truth): void {
    if (!this.#reached.has(entry.vm)) return;
    if (host.wasHarmed || truth.dead.has(host.name)) return;
    assert.equal(requests.size, 0, `no-early-stop: ${entry.vm} is stopped with requests in it`);
    if (entry.gated !== true) judgeTables(entry.vm, truth);
  }

  /** Where a VM is known to serve, nothing takes away the last that is known to, not for others of which it is not. */
  judgeRoutes(before: AppRecord | null, next: AppRecord, known: Known & { readonly wallMs: number }): void {
    const { entries, dead, wallMs } = known;
    // A host that is held dead for a moment may only have lost its agent.
    const isLost = (host: MemberName) => (dead.get(host) ?? wallMs) + REPAIR_AFTER_MS <= wallMs;
    const isKnownSound = ({ vm, host, phase }: AppRecord["vms"][number]) => {
      const entry = entries.get(vm)?.entry;
      return phase === "serving" && !isLost(host) && entry?.state === "running" && entry.health === "healthy";
    };
    const sound = before?.vms.find(isKnownSound);
    assert.ok(
      sound === undefined ||
        next.rollout?.kind === "destroy" ||
        isFirst(next) ||
        next.hold !== undefined ||
        next.vms.some(isKnownSound),
      `no-failed-request: ${sound?.vm} is taken out, and nothing that serves is known to run`,
    );
  }

  /** When it is decided: what happens while the swap is on its way, no driver can know. */
  judgeSuccess(before: AppRecord | null, record: AppRecord, { entries, dead }: Known): void {
    try {
      this.#success.judgeSuccess(before, record, { proxies: new Map(), entries, dead });
    } catch (error) {
      throw new Error(`no-false-success: ${error instanceof Error ? error.message : String(error)}`);
    }
  }
}

/** A first launch that is given up: nothing was there before it. */
function isFirst({ rollout, current }: AppRecord): boolean {
  return rollout?.kind === "deploy" && rollout.from === null && current === null;
}

/** Of a first launch that came to nothing, or will, whoever asks is told so. */
export function isGivenUp(record: AppRecord): boolean {
  const { hostnames, rollout, hold } = record;
  const isBack = rollout?.direction === "back" && rollout.next === undefined;
  return hostnames.length === 0 || (isFirst(record) && isBack && hold === undefined);
}

/** Whoever asks how often: an app is woken once. */
function judgeSleep({ rollout, vms }: AppRecord): void {
  if (rollout?.kind !== "sleep" && rollout?.kind !== "wake") return;
  const most = rollout.count ?? rollout.before ?? 0;
  assert.ok(vms.length <= most, `woken-once: ${vms.length} VMs of an app that is to have ${most}`);
}

/** A rollout that is over leaves no hold of its own, and lifts nobody else's. */
function judgeHold(before: AppRecord | null, { hold, rollout }: AppRecord): void {
  const isLeft = hold?.by === "rollout" && !isUnderWay(rollout);
  assert.ok(!isLeft, "no-hold-left: the rollout is over, and holds the app's requests");
  const isPersons = before?.hold?.by === "person" && hold?.by !== "person";
  // Who lifts it themself changes nothing else.
  const isTheirs = before?.rollout === rollout;
  assert.ok(!isPersons || isTheirs || !isUnderWay(rollout), "no-hold-left: a rollout lifted a person's hold");
}

/** A VM that may have requests leaves the record. */
function judgeRemoval({ vm, phase }: DesiredVm, host: SimHost | undefined, truth: Truth): void {
  const running = host?.vms.get(vm);
  if (host === undefined || running === undefined) return;
  const { entry, requests } = running;
  // It has ended, and its host does not start it again: nothing is left to close.
  if (phase === "opening" && entry.state === "exited" && requests.size === 0) return;
  assert.equal(requests.size, 0, `no-early-stop: ${vm} leaves the record with requests in it`);
  if (entry.gated === true)
    assert.ok(
      host.gate.hasClosed(vm) || (host.wasBlank && !host.gate.isOpenFor(vm)),
      `no-early-stop: ${vm} leaves the record, and the gate of ${host.name} has not confirmed that it closed it`,
    );
  else judgeTables(vm, truth);
}

/** No proxy that did not leave routes to it or has a request on it. */
function judgeTables(vm: VmName, { proxies }: Truth): void {
  for (const proxy of proxies.values()) {
    const { name, registered, isUp, endpoints } = proxy;
    if (!registered || !isUp) continue;
    assert.ok(
      !endpoints.some((endpoint) => endpoint.vm === vm),
      `no-early-stop: ${vm} goes while ${name} routes to it`,
    );
    assert.equal(
      proxy.inFlight(vm),
      0,
      `no-early-stop: ${vm} goes with requests of ${name} on their way to it`,
    );
  }
}

/** Of a deploy or a split that succeeds every proxy that it does not name sends requests to what it brought, as the record splits them. */
function judgeProxies(before: AppRecord | null, record: AppRecord, { proxies }: Truth): void {
  const { rollout } = record;
  const hasEnded = rollout?.state === "succeeded" && before?.rollout?.state === "running";
  if (!hasEnded || (rollout.kind !== "deploy" && rollout.kind !== "weigh")) return;
  for (const { name, registered, isUp, isCut, endpoints, weights } of proxies.values()) {
    // What cannot be heard learns of it from the first gate that refuses it.
    if (!registered || !isUp || isCut || rollout.except?.includes(name) === true) continue;
    const isSplit = isSameWeights(weights ?? undefined, record.weights);
    assert.ok(isSplit, `no-false-success: ${name} does not split requests as the record does`);
    const isNew = endpoints.some(({ release }) => release === rollout.to);
    assert.ok(isNew, `no-false-success: ${name} does not route to v${rollout.to}`);
  }
}

/** Within a rollout steps only go on, and one that is over is over: of two drivers one wins. */
function judgeOrder(before: AppRecord | null, after: AppRecord): void {
  const [old, next] = [before?.rollout, after.rollout];
  if (old == null || next == null || old.id !== next.id) return;
  const [from, to] = [stepNumber(old), stepNumber(next)];
  assert.ok(from <= to, `one-register: step ${to} is committed after step ${from}`);
  assert.ok(isUnderWay(old) || !isUnderWay(next), `one-register: ${old.id} was over, and runs again`);
}

function stepNumber({ step, history }: NonNullable<AppRecord["rollout"]>): number {
  return step?.number ?? history.at(-1)?.number ?? 0;
}
