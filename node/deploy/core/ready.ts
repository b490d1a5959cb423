// Ready: VMs that are up and could serve at once, and what of the others is kept so.

import type { AppRecord, DesiredVm } from "../../../mesh/index.ts";
import { isKept, keepOldMs, withNothingKept } from "./commits.ts";
import type { PlannedStep } from "./strategies/strategy.ts";

/** VMs that are up and may get requests: they serve, wait on standby, or are kept. */
export function readyVms(record: AppRecord, release: number): readonly DesiredVm[] {
  const isReady = (vm: DesiredVm) => vm.phase === "serving" || vm.phase === "standby" || isKept(vm, record);
  return record.vms.filter((vm) => vm.release === release && isReady(vm));
}

/** While two serve nothing is kept; what leaves then is kept as long as the newer of the two keeps the one before it. */
export function withKept(
  record: AppRecord,
  {
    planned,
    whole,
    wallMs,
  }: { readonly planned: PlannedStep; readonly whole: number | null; readonly wallMs: number },
): AppRecord {
  if (whole === null) return withNothingKept(record);
  const leaving = record.vms.filter(({ vm }) => planned.vms.includes(vm)).map(({ release }) => release);
  if (leaving.length === 0) return planned.serves?.length === 0 ? record : withNothingKept(record);
  const left = Math.max(...leaving);
  const newer = record.releases.find(({ number }) => number === Math.max(left, whole));
  const keepMs = newer === undefined ? 0 : keepOldMs(newer);
  const bare = withNothingKept(record);
  return keepMs === 0 ? bare : { ...bare, kept: { release: left, untilMs: wallMs + keepMs } };
}
