// Held by all: a first launch is answered once the proxies that can be heard keep its requests: who asks from then on is told no error.

import type { AppView } from "./app-view.ts";
import type { Facts } from "./core/facts.ts";
import type { Rollout } from "./core/rollout.ts";
import { isHeard } from "./core/standing.ts";

/** One that is heard and does not say so in this time is slow, and no reason to keep a person waiting. */
const HELD_BY_ALL_MS = 1_000;

/** Resolves at once if the app's requests are not held for its launch. `watch` yields after each change of what is known of it. */
export async function heldByAll(
  machine: Pick<Rollout, "committed" | "context">,
  watch: (signal: AbortSignal) => AsyncIterable<AppView>,
): Promise<void> {
  const begun = machine.committed;
  if (begun?.record.hold?.by !== "launch") return;
  for await (const _view of watch(AbortSignal.timeout(HELD_BY_ALL_MS)))
    if (isAppliedByAll(machine.context(0).facts, begun.epoch)) return;
}

function isAppliedByAll(facts: Facts, epoch: number): boolean {
  const heard = [...facts.proxies.values()].filter(
    ({ proxy, registered }) => registered && isHeard(facts, proxy),
  );
  return heard.every(({ proxy }) => (facts.acks.get(proxy)?.applied ?? 0) >= epoch);
}
