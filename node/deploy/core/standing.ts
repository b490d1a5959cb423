// Standing: how far the step in force is, from the newest facts: what is still missing, who has answered. Nothing here decides.

import type {
  Ack,
  AppName,
  AppRecord,
  CommittedApp,
  DesiredVm,
  MemberName,
  RolloutStep,
  Spared,
  VmName,
} from "../../../mesh/index.ts";
import { commandVmOf, memberName, vmName } from "../../../mesh/index.ts";
import { bakeMsOf, minHealthyMsOf, type StandingAsk } from "./asks.ts";
import { wantsOfBake } from "./canary/evidence.ts";
import { counted } from "./describe.ts";
import { type Facts, isElsewhere, isGone, isHealthy, isRegistered, observed } from "./facts.ts";
import { withoutFenced } from "./fences.ts";
import { areAllGated, askedAtGates, wantOfGate } from "./gates.ts";
import { isGivenUp } from "./handoff.ts";
import { mayRunOf, waitText } from "./may-run.ts";
import { ackersOf, isEntering, isLeaving, quorumOf } from "./quorum.ts";
import { isReplacing } from "./replacing.ts";

/** Something that is missing. `proxy` wants can be excused when a rollout goes back; the others cannot. */
export interface Want {
  readonly kind: "proxy" | "vm" | "no-proxy" | "approval" | "time" | "gate" | "traffic";
  readonly who: MemberName | VmName;
  /** Follows the name: "to acknowledge epoch 7". */
  readonly what: string;
  /** The same as a sentence: "proxy-2 has not acknowledged epoch 7". */
  readonly complaint: string;
}

export interface Standing {
  /** Empty: all that the step waits for was observed. */
  readonly wants: readonly Want[];
  /** Of a step that needs proxies. */
  readonly acks: {
    readonly need: readonly MemberName[];
    readonly have: readonly MemberName[];
    /** So many of `need` suffice. */
    readonly quorum: number;
  } | null;
  /** Of those that are asked, who has not answered: more than `wants`, once the quorum is there. */
  readonly behind?: readonly Want[];
  /** All that the step asks, answered or not. */
  readonly asks: readonly StandingAsk[];
  /** Grows with each thing that comes nearer: progress is a new maximum of it. */
  readonly score: number;
}

/** An app without a hostname is not routed: it has no ack steps. */
export function needsAcks(record: AppRecord): boolean {
  return record.hostnames.length > 0;
}

export function standingOf(step: RolloutStep, committed: CommittedApp, facts: Facts): Standing {
  switch (step.kind) {
    case "command":
      return commandStanding(committed, facts);
    case "start":
      return startStanding(step, committed, facts);
    case "approve":
      return approveStanding(committed.record);
    case "bake":
      return bakeStanding(step, committed.record, facts);
    case "standby":
    case "serve":
    case "weigh":
    case "flip":
    case "hold":
    case "cordon":
      return needsAcks(committed.record) ? ackStanding(step, committed, facts) : NOTHING_WANTED;
    case "stop":
      return stopStanding(step, committed.record, facts);
    case "prepare":
      return preparedStanding(step, committed.record, facts);
    case "handover":
      return handoverStanding(step, committed, facts);
  }
}

/** A step that ends with what proxies answer. */
export function isAckStep(kind: RolloutStep["kind"]): boolean {
  return isEntering(kind) || kind === "weigh" || isLeaving(kind);
}

function approveStanding({ app, rollout }: AppRecord): Standing {
  const isAnswered = rollout?.approved === true;
  const asks: readonly StandingAsk[] = [{ kind: "approval", who: vmName(app), isAnswered }];
  // From then on the deadline counts.
  if (isAnswered) return { ...NOTHING_WANTED, asks, score: 1 };
  const names = rollout?.id ?? app;
  const want: Want = {
    kind: "approval",
    who: vmName(app),
    what: `to be promoted: look at ${names} by its preview name, then \`grapevine promote ${app}\` or \`grapevine abort ${app}\``,
    complaint: `${names} was not promoted`,
  };
  return { wants: [want], acks: null, asks, score: 0 };
}

const NOTHING_WANTED: Standing = { wants: [], acks: null, asks: [], score: 0 };

/** It makes no progress by which a deadline would move: `wait_timeout` counts from the begin, after the bake. */
function bakeStanding(step: RolloutStep, record: AppRecord, facts: Facts): Standing {
  const wants = wantsOfBake(record, facts);
  const who = step.vms[0] ?? vmName(record.app);
  const missing = new Set(wants.map((want) => `${want.kind} ${want.who}`));
  const isMissing = (kind: Want["kind"], name: Want["who"]) => missing.has(`${kind} ${name}`);
  const asks: readonly StandingAsk[] = [
    ...ackersOf(step, record, facts).map((proxy) => {
      return { kind: "counts", who: proxy, isAnswered: !isMissing("proxy", proxy) } as const;
    }),
    { kind: "traffic", who, isAnswered: !isMissing("traffic", who) },
    // When it has passed a clock knows, and nobody here.
    { kind: "clock", who, forMs: bakeMsOf(record), isAnswered: false },
  ];
  return { ...NOTHING_WANTED, wants, asks };
}

/** That it ended otherwise than well is a fault, and not something that is missing. */
function commandStanding({ record }: CommittedApp, facts: Facts): Standing {
  const placed = commandVmOf(record);
  if (placed === null) return NOTHING_WANTED;
  const { vm, host } = placed;
  const entry = observed(facts, placed)?.entry;
  const isAnswered = entry?.state === "exited" && entry.exit?.code === 0;
  const asks: readonly StandingAsk[] = [{ kind: "vm", who: vm, host, isAnswered }];
  if (isAnswered) return { ...NOTHING_WANTED, asks, score: 2 };
  const away = awayText(host, facts);
  const want: Want = {
    kind: "vm",
    who: vm,
    what: `to end on ${host}: it is the release command${away}`,
    complaint: `the release command, ${vm} on ${host}, did not end${away}`,
  };
  return { wants: [want], acks: null, asks, score: entry?.state === "running" ? 1 : 0 };
}

/** Of a deploy that went back: its release command, which may still do what it does beside that of the next deploy; null: it ended. */
export function leftOfCommand({ rollout }: AppRecord, facts: Facts): Want | null {
  const { vms: [vm] = [] } = rollout?.history.find(({ kind }) => kind === "command") ?? {};
  if (vm === undefined) return null;
  const seen = [...(facts.vms.get(vm) ?? [])];
  const runs = seen.find(
    ([host, { entry }]) => !facts.lost.has(host) && entry.state !== "exited" && entry.state !== "failed",
  );
  return runs === undefined ? null : wantGone(vm, runs[0], facts);
}

function startStanding(step: RolloutStep, { record }: CommittedApp, facts: Facts): Standing {
  const wants: Want[] = [];
  const asks: StandingAsk[] = [];
  let score = 0;
  for (const vm of record.vms.filter((candidate) => step.vms.includes(candidate.vm))) {
    const seen = observed(facts, vm);
    const isAnswered = isHealthy(seen);
    asks.push({ kind: "vm", who: vm.vm, host: vm.host, isAnswered });
    if (isAnswered) score += 2;
    else wants.push(wantHealthy(vm.vm, vm.host, facts));
    if (seen?.entry.state === "running") score += 1;
  }
  const forMs = minHealthyMsOf(record);
  const [first] = step.vms;
  // When it has passed a clock knows, and nobody here.
  if (forMs > 0 && first !== undefined) asks.push({ kind: "clock", who: first, forMs, isAnswered: false });
  return { wants, acks: null, asks, score };
}

export function wantHealthy(vm: VmName, host: MemberName, facts: Facts): Want {
  const away = awayText(host, facts);
  return {
    kind: "vm",
    who: vm,
    what: `to become healthy${away}`,
    complaint: `${vm} did not become healthy${away}`,
  };
}

function awayText(host: MemberName, facts: Facts): string {
  return facts.hosts.get(host)?.open === true ? "" : ` (its host ${host} is not connected)`;
}

/** `hosts` are those of `step.vms`. */
function stopStanding(step: RolloutStep, record: AppRecord, facts: Facts): Standing {
  // Nobody can say of a dead host's VM that it is gone. It is out of routing, and its host stops it when it is back.
  const asked = step.vms
    .map((vm, index) => ({ vm, host: step.hosts?.[index] }))
    .filter(({ host }) => host === undefined || !isGivenUp(record, facts, host));
  const unconfirmed = new Set(step.kind === "stop" ? mayRunOf(record, facts).map(({ host }) => host) : []);
  const left = asked.filter(
    ({ vm, host }) => !isGone(facts, vm, host) || (host !== undefined && unconfirmed.has(host)),
  );
  const wants = left.map(({ vm, host }) => wantGone(vm, host, facts, waitText(record, facts, host)));
  const asks = asked.map(({ vm, host }): StandingAsk => {
    const isAnswered = !left.some((candidate) => candidate.vm === vm);
    return { kind: "vm", who: vm, ...(host === undefined ? {} : { host }), isAnswered };
  });
  return { wants, acks: null, asks, score: step.vms.length - wants.length };
}

function preparedStanding(step: RolloutStep, record: AppRecord, facts: Facts): Standing {
  const vms = record.vms.filter(({ vm }) => step.vms.includes(vm));
  const isReady = (vm: DesiredVm) => observed(facts, vm)?.entry.state === "prepared";
  const asks = vms.map((vm): StandingAsk => {
    return { kind: "vm", who: vm.vm, host: vm.host, isAnswered: isReady(vm) };
  });
  const wants = vms
    .filter((vm) => !isReady(vm))
    .map(({ vm, host }): Want => {
      const away = awayText(host, facts);
      return {
        kind: "vm",
        who: vm,
        what: `to be prepared on ${host}${away}`,
        complaint: `${vm} was not prepared on ${host}${away}`,
      };
    });
  return { wants, acks: null, asks, score: vms.length - wants.length };
}

/** Both at once: the host keeps the order. */
function handoverStanding(step: RolloutStep, committed: CommittedApp, facts: Facts): Standing {
  const old = stopStanding(step, committed.record, facts);
  const next = startStanding({ ...step, vms: step.serves ?? [] }, committed, facts);
  return {
    wants: [...old.wants, ...next.wants],
    acks: null,
    asks: [...old.asks, ...next.asks],
    score: old.score + next.score,
  };
}

export function wantGone(vm: VmName, host: MemberName | undefined, facts: Facts, hint = ""): Want {
  const place = host === undefined ? "" : ` on ${host}${awayText(host, facts)}${hint}`;
  return { kind: "vm", who: vm, what: `to be gone${place}`, complaint: `${vm} is not gone${place}` };
}

/** Weighs more than any count of requests that drain, so that fewer in flight is progress but never outweighs an ack. */
const ACK_SCORE = 1_000_000;

function ackStanding(step: RolloutStep, committed: CommittedApp, facts: Facts): Standing {
  const { epoch, record } = committed;
  const mustVerify = isEntering(step.kind) || step.kind === "weigh" || isReplacing(record);
  const takesAway = isLeaving(step.kind);
  const { need, isByGates } = askedOf(step, committed, facts);
  const quorum = quorumOf(step.kind, record, need.length);
  if (need.length === 0 && !isByGates)
    return { wants: [NO_PROXY], acks: { need, have: [], quorum }, asks: [], score: 0 };
  const asks: StandingAsk[] = [];
  const ofGates: Want[] = [];
  for (const vm of takesAway ? askedAtGates(step.vms, committed, facts) : []) {
    const want = wantOfGate(vm, committed, facts);
    if (want !== null) ofGates.push(want);
    asks.push({ kind: "gate", who: vm.host, vm: vm.vm, isAnswered: want === null });
  }
  const ofProxies: Want[] = [];
  const have: MemberName[] = [];
  let score = takesAway ? ACK_SCORE * (step.vms.length - ofGates.length) : 0;
  // Of a machine that is off no request ends.
  const busy = withoutFenced(step.vms, record, facts);
  for (const proxy of need) {
    const ack = facts.acks.get(proxy);
    const want = wantOfProxy({ proxy, ack, step: { kind: step.kind, vms: busy }, epoch, mustVerify, facts });
    if (want === null) have.push(proxy);
    else ofProxies.push(want);
    asks.push({ kind: "proxy", who: proxy, isAnswered: want === null });
    if (ack !== undefined && ack.applied >= epoch) score += ACK_SCORE - inFlightOf(ack, step.vms);
    if (want === null) score += ACK_SCORE;
  }
  const acks = { need, have, quorum };
  // No quorum of proxies speaks for a gate.
  const wants = have.length >= quorum ? ofGates : [...ofGates, ...ofProxies];
  return { wants, behind: [...ofGates, ...ofProxies], acks, asks, score };
}

export function isHeard(facts: Facts, proxy: MemberName): boolean {
  return facts.proxies.get(proxy)?.connected !== false;
}

/** What a proxy would do that cannot be heard the gates refuse, if there is one before each VM that leaves: it is not waited for. */
export function askedOf(
  step: Pick<RolloutStep, "kind" | "ackSet" | "vms">,
  committed: CommittedApp,
  facts: Facts,
): { readonly need: readonly MemberName[]; readonly isByGates: boolean } {
  const ackers = ackersOf(step, committed.record, facts);
  const isByGates = isLeaving(step.kind) && areAllGated(step.vms, committed, facts);
  // Of a hold nobody waits for a proxy that has requests to keep: once the gates are closed and drained, none of them sends any there.
  const asked = step.kind === "hold" ? [] : ackers.filter((proxy) => isHeard(facts, proxy));
  return { need: isByGates ? asked : ackers, isByGates };
}

/** Proxies that are registered, and that a step which asks proxies does not ask. A hold asks none. */
export function sparedOf(
  { kind, ackSet }: Pick<RolloutStep, "kind" | "ackSet">,
  { excluded = [] }: AppRecord,
  need: readonly MemberName[],
  facts: Facts,
): readonly Spared[] {
  const asked = new Set(need);
  const left = (kind === "hold" ? [] : ackSet).filter(
    (proxy) => !asked.has(proxy) && isRegistered(facts, proxy),
  );
  const whyOf = (proxy: MemberName) => excluded.find((held) => held.proxy === proxy)?.by ?? "unheard";
  return left.map((proxy) => ({ proxy, why: whyOf(proxy) }));
}

/** An empty set is never a quorum. */
export const NO_PROXY: Want = {
  kind: "no-proxy",
  who: memberName("proxy"),
  what: "to register: no proxy is registered",
  complaint: "no proxy is registered",
};

interface ProxyQuestion {
  readonly proxy: MemberName;
  readonly ack: Ack | undefined;
  readonly step: Pick<RolloutStep, "kind" | "vms">;
  readonly epoch: number;
  readonly mustVerify: boolean;
  readonly facts: Facts;
}

/** What is missing of one proxy, or null: what it must verify it has, cordoned VMs are out of its table and drained. */
export function wantOfProxy({ proxy, ack, step, epoch, mustVerify, facts }: ProxyQuestion): Want | null {
  const want = (what: string, complaint: string): Want => {
    const away = facts.proxies.get(proxy)?.connected === false ? " (not connected)" : "";
    const nack = ack?.nack != null && ack.nack.epoch >= epoch ? `: ${ack.nack.reason}` : "";
    const trail = `${away}${nack}`;
    return { kind: "proxy", who: proxy, what: `${what}${trail}`, complaint: `${proxy} ${complaint}${trail}` };
  };
  if (ack === undefined || ack.applied < epoch) {
    return want(`to acknowledge epoch ${epoch}`, `has not acknowledged epoch ${epoch}`);
  }
  if (mustVerify && ack.verified < epoch) {
    return want(`to verify epoch ${epoch}`, `has not verified epoch ${epoch}`);
  }
  // What leaves by weight is only stopped after a cordon, or by housekeeping, and drains before that.
  if (isEntering(step.kind) || step.kind === "weigh") return null;
  const busy = ack.inFlight.filter(({ vm, requests }) => requests > 0 && step.vms.includes(vm));
  if (busy.length === 0) return null;
  const list = busy
    .map(({ vm, requests }) => `${counted(requests, "request")} in flight to ${vm}`)
    .join(", ");
  return want(`to drain: ${list}`, `has ${list}`);
}

/** Below `ACK_SCORE`. */
function inFlightOf(ack: Ack, vms: readonly VmName[]): number {
  const requests = ack.inFlight.filter(({ vm }) => vms.includes(vm)).map((item) => item.requests);
  return Math.min(
    ACK_SCORE - 1,
    requests.reduce((left, right) => left + right, 0),
  );
}

/**
 * What is missing of the post-condition of a deploy (`no-false-success`): `count` VMs of the release serve and are healthy,
 * nothing else is in the record but what is kept, and of the old ones nothing else is observed, save on hosts that are dead.
 */
export function missingOfDeploy(
  { record }: CommittedApp,
  wanted: {
    readonly release: number;
    readonly count: number;
    readonly targets: readonly VmName[];
    readonly kept: number | null;
  },
  facts: Facts,
): readonly Want[] {
  const serving = record.vms.filter((vm) => vm.phase === "serving" && vm.release === wanted.release);
  const unwell = serving.filter((vm) => !isHealthy(observed(facts, vm)));
  const wants = unwell.map((vm) => wantHealthy(vm.vm, vm.host, facts));
  const named = new Set(record.vms.map((vm) => vm.vm));
  const old = wanted.targets.filter((vm) => !named.has(vm) && isElsewhere(facts, vm));
  wants.push(...old.map((vm) => wantGone(vm, undefined, facts)));
  const kept = record.vms.filter((vm) => vm.phase === "cordoned" && vm.release === wanted.kept);
  if (serving.length !== wanted.count || serving.length + kept.length !== record.vms.length) {
    const list = `${record.vms.length} VMs in the record, ${serving.length} of ${wanted.count} of v${wanted.release} serve`;
    wants.push(wantWhole(record.app, list));
  }
  return wants;
}

/** What is missing of the post-condition of a repair: as many serve as did, healthy, and none of them is one that was to be replaced. */
export function missingOfRepair({ record }: CommittedApp): readonly Want[] {
  const { to = null, count = 0, targets = [] } = record.rollout ?? {};
  const serving = record.vms.filter((vm) => vm.phase === "serving" && vm.release === to);
  const fresh = serving.filter((vm) => !targets.includes(vm.vm));
  if (fresh.length >= count) return [];
  const list = `${fresh.length} of ${count} VMs of v${to} serve`;
  return [wantWhole(record.app, list)];
}

/** `list`: what there is, and what there should be. */
export function wantWhole(app: AppName, list: string): Want {
  return { kind: "vm", who: vmName(app), what: `to be whole: ${list}`, complaint: list };
}
