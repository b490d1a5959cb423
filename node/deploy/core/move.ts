// Move: the VMs of one app leave a host that is drained. One rollout, forward only: as many serve elsewhere, with all evidence of a deploy,
// before those here are taken away. It takes one release at a time; what is left is the next move's.

import {
  type AppName,
  type AppRecord,
  type CommittedApp,
  type DesiredVm,
  isUnderWay,
  type MemberName,
  type Rollout,
} from "../../../mesh/index.ts";
import { askedCount } from "./asked-count.ts";
import type { CommitContext } from "./commits.ts";
import { keptHome } from "./home.ts";
import { rolloutWithin } from "./new-rollout.ts";
import { place } from "./place.ts";
import { begin, type Submission } from "./submit.ts";

export interface MoveRequest {
  readonly app: AppName;
  readonly host: MemberName;
}

/** The VMs that the next move would take from there: of the newest release of which any serves there. */
export function movableVms({ vms }: AppRecord, host: MemberName): readonly DesiredVm[] {
  const serving = vms.filter((vm) => vm.phase === "serving" && vm.host === host);
  const release = Math.max(...serving.map((vm) => vm.release));
  return serving.filter((vm) => vm.release === release);
}

/** `joined`: it is under way already. */
export function submitMove(
  committed: CommittedApp | null,
  { app, host }: MoveRequest,
  context: CommitContext,
): Submission {
  const record = committed?.record;
  const [first] = record === undefined ? [] : movableVms(record, host);
  if (committed === null || record === undefined || first === undefined)
    return { code: "invalid", message: `no VM of ${app} serves on ${host}` };
  const data = keptHome(record, host);
  if (data !== null) return { code: "invalid", message: `${app} stays on ${host}: ${data}` };
  const { rollout } = record;
  if (rollout !== null && isUnderWay(rollout)) {
    const isSame = rollout.kind === "move" && rollout.leaves === host;
    return { code: isSame ? "joined" : "locked", rollout };
  }
  const move: Rollout = {
    ...rolloutWithin(committed, first.release, context),
    kind: "move",
    targets: withRoom(record, host, context).map(({ vm }) => vm),
    count: askedCount(record, first.release),
    leaves: host,
  };
  return begin(record, move, context);
}

/** Of those that would move as many as find room: where all start at once none would, for want of room for one. Where there is none, all. */
function withRoom(record: AppRecord, host: MemberName, { facts }: CommitContext): readonly DesiredVm[] {
  const targets = movableVms(record, host);
  const { vms } = record;
  const release = targets[0]?.release ?? 0;
  const isRoomFor = (count: number) =>
    place({ release, vms, hosts: facts.hosts.values(), count }).code === "placed";
  let count = targets.length;
  while (count > 0 && !isRoomFor(count)) count -= 1;
  return count === 0 ? targets : targets.slice(0, count);
}
