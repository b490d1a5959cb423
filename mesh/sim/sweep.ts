// Sweep: what stands in the stores is what was told, key by key: nothing comes or goes without a word. And who says that it
// holds an owner's state at a version does not show what was deleted at or before it.

import { compareStarts, compareVersions, type Version } from "../core/version.ts";
import type { Checkers } from "./checkers.ts";
import type { Cluster } from "./cluster.ts";
import type { Ledger, Slot } from "./ledger.ts";
import type { SimMember } from "./sim-member.ts";

export function sweep(cluster: Cluster, ledger: Ledger, checkers: Checkers): void {
  const slots = ledger.slots();
  for (const observer of cluster.members) {
    if (observer.replica === undefined) continue;
    for (const slot of slots) compare(cluster, checkers, observer, slot);
  }
}

function compare({ nowMs }: Cluster, checkers: Checkers, observer: SimMember, slot: Slot): void {
  const told = checkers.lastTold(observer, slot);
  const held = observer.replica?.store.get(slot.owner, slot.key);
  const what = (): string => `${slot.key} of ${slot.owner.slice(-5)} at ${observer.name}`;
  const isToldLive = told !== undefined && told.value !== null;
  if (isToldLive && held === undefined) {
    checkers.report("no-empty-table", nowMs, `${what()} went without a word`);
  } else if (held !== undefined && !isToldLive) {
    checkers.report("no-resurrection", nowMs, `${what()} is there, though its deletion was told, or nothing`);
  } else if (held !== undefined && told !== undefined && compareVersions(held.version, told.version) !== 0) {
    checkers.report("single-writer", nowMs, `${what()} stands at another version than was told`);
  }
  if (held !== undefined && isDeletedBy(slot, held.version, observer.replica?.store.head(slot.owner))) {
    checkers.report(
      "no-resurrection",
      nowMs,
      `${what()} is there, though its owner deleted it by the version held`,
    );
  }
}

/** Its owner deleted it after `version`, in the same start, at or before `head`. */
function isDeletedBy({ writes }: Slot, version: Version, head: Version | undefined): boolean {
  if (head === undefined || compareStarts(version, head) !== 0) return false;
  return writes.some(
    (write) =>
      write.value === null &&
      write.isMeant &&
      compareStarts(write.version, head) === 0 &&
      write.version.counter > version.counter &&
      write.version.counter <= head.counter,
  );
}
