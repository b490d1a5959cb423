// SyncChecks: `sync` promises what both sides held when it was called. What they held is noted then, and looked for when a
// sync ended well.

import type { OwnerId } from "../core/ids.ts";
import { compareVersions, type Version } from "../core/version.ts";
import type { Cluster } from "./cluster.ts";
import type { SimMember } from "./sim-member.ts";

type Heads = ReadonlyMap<OwnerId, Version>;

interface PendingSync {
  readonly member: SimMember;
  readonly life: number;
  readonly target: SimMember;
  readonly targetLife: number;
  readonly ours: Heads;
  readonly theirs: Heads;
  /** Of both together, by then: a sync does not promise what one of them refuses. */
  readonly refusals: number;
}

export class SyncChecks {
  readonly #pending = new Map<number, PendingSync>();
  readonly #report: (text: string) => void;
  #last = 0;
  reached: number = 0;

  constructor(report: (text: string) => void) {
    this.#report = report;
  }

  begin(cluster: Cluster, member: SimMember, target: SimMember): void {
    if (member === target || !member.isUp || !target.isUp) return;
    this.#last += 1;
    const lives = { life: member.life, targetLife: target.life };
    const [ours, theirs] = [headsOf(cluster, member), headsOf(cluster, target)];
    const refusals = member.refusals + target.refusals;
    this.#pending.set(this.#last, { member, target, ...lives, ours, theirs, refusals });
    const id = this.#last;
    cluster.trace(() => `${member.name} syncs with ${target.name} (${id})`);
    cluster.step(member, { kind: "sync", peer: target.owner, id });
  }

  /** Both hold what the other held when it began, each of all but itself. */
  end(cluster: Cluster, id: number, isReached: boolean): void {
    const sync = this.#pending.get(id);
    this.#pending.delete(id);
    if (sync === undefined) return;
    cluster.trace(() => `${sync.member.name} ${isReached ? "is in sync" : "failed to sync"} (${id})`);
    if (!isReached) return;
    const { member, target, life, targetLife, ours, theirs } = sync;
    if (member.life !== life || target.life !== targetLife || !target.isUp) return;
    this.reached += 1;
    if (member.refusals + target.refusals !== sync.refusals) return;
    for (const [holder, wanted] of [
      [member, theirs],
      [target, ours],
    ] as const) {
      const held = headsOf(cluster, holder);
      for (const [owner, version] of wanted) {
        const head = held.get(owner);
        const isHeld = head !== undefined && compareVersions(head, version) >= 0;
        if (isHeld || owner === holder.owner) continue;
        const lacked = cluster.memberOf(owner).name;
        this.#report(`sync of ${member.name} with ${target.name}: ${holder.name} lacks ${lacked}`);
      }
    }
  }
}

/** What is in force at `member` and declared complete by its owner. */
function headsOf(cluster: Cluster, { replica }: SimMember): Heads {
  const heads = new Map<OwnerId, Version>();
  for (const { owner } of cluster.members) {
    const state = replica?.store.held(owner).inForce;
    if (state?.isComplete === true) heads.set(owner, state.head);
  }
  return heads;
}
