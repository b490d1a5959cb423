// Starts: VMs that come into a record, each on the host that is chosen for it.

import type { AppRecord, DesiredVm, MemberName } from "../../../mesh/index.ts";
import type { Facts } from "./facts.ts";
import { hostOfNext, isAlone } from "./handoff.ts";
import { isWithinHold } from "./held-step.ts";
import { awayHome, withHome } from "./home.ts";
import { type Placing, place } from "./place.ts";
import { canReturn } from "./replacing.ts";
import type { PlannedStep } from "./strategies/strategy.ts";

export type Applied =
  | { readonly code: "applied"; readonly record: AppRecord }
  | { readonly code: "no-host"; readonly message: string };

export function placeOn(
  { vms, rollout, hold }: AppRecord,
  wanted: { readonly release: number; readonly count: number },
  facts: Facts,
): Placing {
  // What leaves counts for no release: the new VMs would gather where the first of them left, or in another region.
  const isExchanged = rollout?.kind === "restart" || rollout?.kind === "move";
  const isLeavingSoon = ({ vm }: DesiredVm) => isExchanged && rollout.targets.includes(vm);
  const staying = vms.map((vm) => (isLeavingSoon(vm) ? { ...vm, release: -1 } : vm));
  return place({ ...wanted, vms: staying, hosts: facts.hosts.values(), ranOn: hold?.ranOn ?? [] });
}

export function releaseOf({ app }: AppRecord, { release }: { readonly release: number | null }): number {
  if (release === null) throw new Error(`${app}: a VM of no release cannot be started`);
  return release;
}

/** Of what is started now: whether requests that are held wait for it alone. What must stay healthy for a while first is served by its step. */
export function startPhaseOf(record: AppRecord): "starting" | "opening" {
  const { rollout, releases } = record;
  if (rollout?.kind === "wake") return "opening";
  const minHealthyMs = releases.find(({ number }) => number === rollout?.to)?.spec.deploy.minHealthyMs ?? 0;
  const isAwaited = isWithinHold(record) && isAlone(record) && !(minHealthyMs > 0 && canReturn(record));
  return isAwaited ? "opening" : "starting";
}

export function withStarted(
  record: AppRecord,
  planned: PlannedStep & { readonly release: number | null },
  {
    facts,
    phase,
    host = hostOfNext(record, facts),
  }: {
    readonly facts: Facts;
    readonly phase: "prepared" | "starting" | "opening" | "serving";
    readonly host?: MemberName | null | undefined;
  },
): Applied {
  const known = record.vms.filter(({ vm }) => planned.vms.includes(vm)).map(({ vm }) => vm);
  const vms = planned.vms.filter((vm) => !known.includes(vm));
  const release = releaseOf(record, planned);
  const lost = awayHome(record, facts);
  if (lost !== null && vms.length > 0) return { code: "no-host", message: lost };
  const placing =
    host === null
      ? placeOn(record, { release, count: vms.length }, facts)
      : { code: "placed" as const, placements: vms.map(() => ({ host })) };
  if (placing.code === "no-host") return placing;
  const [first] = placing.placements;
  const started = vms.flatMap((vm, index): readonly DesiredVm[] => {
    const placed = placing.placements[index];
    return placed === undefined ? [] : [{ vm, release, host: placed.host, phase, requires: null }];
  });
  const before = record.vms.map((vm) => (known.includes(vm.vm) ? { ...vm, phase } : vm));
  const releases = record.releases.map((one) =>
    one.number === release ? { ...one, vmsNamed: one.vmsNamed + vms.length } : one,
  );
  const next = { ...record, releases, vms: [...before, ...started] };
  return { code: "applied", record: first === undefined ? next : withHome(next, release, first.host) };
}

/** On the host of those that leave, which keeps the order. Requests are held meanwhile, and go to it as soon as it is healthy. */
export function withHandedOver(
  record: AppRecord,
  { vms, serves = [], release }: PlannedStep & { readonly release: number | null },
  facts: Facts,
): Applied {
  const host = record.vms.find(({ vm }) => vms.includes(vm))?.host;
  const started = withStarted(
    record,
    { kind: "start", vms: serves, release },
    { facts, phase: "opening", host },
  );
  if (started.code === "no-host") return started;
  const left = started.record.vms.filter(({ vm }) => !vms.includes(vm));
  return { code: "applied", record: { ...started.record, vms: left } };
}
