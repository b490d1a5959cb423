// Cutover judge: `atomic-cutover`, asked of every request that reaches a VM. A cutover is a commit after which other releases get
// requests than before. Once one was sent by the new side, none is by the old one, whichever of the two releases is the newer.

import assert from "node:assert/strict";
import type { AppRecord, CommittedApp, VmName } from "../../mesh/index.ts";
import { sharesOf } from "../../node/deploy/core/shares.ts";
import type { Endpoint } from "../../proxy-agent/core/route-table.ts";

export class CutoverJudge {
  /** Releases that get requests since the last cutover. */
  #side: ReadonlySet<number> = new Set();
  #sinceEpoch = 0;
  #isTakenBack = false;
  /** The first request that was sent by the new side, for people; null: none was yet. */
  #first: string | null = null;
  readonly #byEpoch = new Map<number, AppRecord>();
  /** VMs of which their hosts said at some time that they are healthy. */
  readonly #well = new Set<VmName>();

  noteCommit({ epoch, record }: CommittedApp): void {
    this.#byEpoch.set(epoch, record);
    const gets = sharesOf(record).flatMap(({ release, weight }) => (weight > 0 ? [release] : []));
    // While it is held nobody gets any: who will is not said yet.
    const isSame = gets.length === this.#side.size && gets.every((release) => this.#side.has(release));
    if (record.hold !== undefined || gets.length === 0 || isSame) return;
    const [newest, newestBefore] = [Math.max(...gets), Math.max(...this.#side)];
    // Of a split that is taken back both sides were seen already, and what is not well is not waited for.
    this.#isTakenBack = newest < newestBefore && gets.every((release) => this.#side.has(release));
    this.#side = new Set(gets);
    this.#sinceEpoch = epoch;
    this.#first = null;
  }

  noteHealthy(vm: VmName): void {
    this.#well.add(vm);
  }

  /** It is at its VM. `epoch`: of the table by which it was sent. */
  judgeDispatch({ vm, release }: Pick<Endpoint, "vm" | "release">, epoch: number, isAtomic: boolean): void {
    const { hold, vms = [] } = this.#byEpoch.get(epoch) ?? {};
    const isOpened = this.#well.has(vm) && vms.some((one) => one.vm === vm && one.phase === "opening");
    assert.ok(
      hold === undefined || (hold.by !== "person" && isOpened),
      `held-is-held: ${vm} gets a request by epoch ${epoch}, at which the app is held`,
    );
    if (!isAtomic || this.#isTakenBack) return;
    const isOld = !this.#side.has(release);
    assert.ok(
      !isOld || this.#first === null,
      `atomic-cutover: ${vm} gets a request by epoch ${epoch}, after ${this.#first} had got one by the new side`,
    );
    if (!isOld && epoch >= this.#sinceEpoch) this.#first ??= vm;
  }
}
