// Person's hold: an app's requests are kept by every proxy because somebody said so, until somebody says that they go on. It touches no VM
// and no rollout: one that is under way goes on beside it.

import { type AppRecord, type Hold, isUnderWay, type Rollout } from "../../../mesh/index.ts";
import { isHeldByRollout, isWithinHold } from "./held-step.ts";
import { isAnyServing, sleepsBeneath, withoutHoldBy } from "./idle-hold.ts";
import { needsAcks } from "./standing.ts";
import { onlyGoesForward } from "./supersede.ts";
import { isScaleOrRestart } from "./within.ts";

/** `record` itself: it is so already. `invalid`: `message` says what to do. */
export type HoldChange =
  | { readonly code: "changed"; readonly record: AppRecord }
  | { readonly code: "invalid"; readonly message: string };

/** What another one placed becomes the person's: who placed it leaves it alone from then on. */
export function heldByPerson(record: AppRecord, atMs: number): HoldChange {
  const { app, hold } = record;
  if (!needsAcks(record)) {
    const message = `${app} has no hostname, so no proxy gets requests of it: there is nothing to hold`;
    return { code: "invalid", message };
  }
  if (hold?.by === "person") return { code: "changed", record };
  return { code: "changed", record: { ...record, hold: { by: "person", atMs } } };
}

export function releasedByPerson(record: AppRecord): HoldChange {
  const { hold, rollout } = record;
  if (hold === undefined) return { code: "changed", record };
  if (hold.by === "person") {
    const by = holderBeneath(record);
    const released = by === null ? withoutHoldBy("person", record) : { ...record, hold: { ...hold, by } };
    return { code: "changed", record: released };
  }
  if (isUnderWay(rollout)) return { code: "invalid", message: waitText(record, rollout) };
  if (hold.by === "idle") return { code: "invalid", message: sleepText(record) };
  // Nothing is under way that would lift it.
  return { code: "changed", record: withoutHoldBy(hold.by, record) };
}

/**
 * Who has the requests held once no person does; null: nobody, they are sent on, or answered that nothing serves. Whatever is named here is
 * lifted by what is under way, at its end at the latest, or by a request that wakes the app.
 */
function holderBeneath(record: AppRecord): Exclude<Hold["by"], "person"> | null {
  const { rollout } = record;
  if (!needsAcks(record)) return null;
  // It closed what served, and nothing new serves yet.
  if (isHeldByRollout(record)) return "rollout";
  if (isWithinHold(record)) return "idle";
  if (isAnyServing(record)) return null;
  if (sleepsBeneath(record)) return "idle";
  // What is under way brings one that serves, or comes to its end.
  const isRetiring = rollout?.kind === "stop" || rollout?.kind === "destroy";
  const isComing = isUnderWay(rollout) && (!isRetiring || rollout?.next !== undefined);
  return isComing ? "launch" : null;
}

function sleepText({ app }: AppRecord): string {
  return `${app} sleeps: a request wakes it, and is sent on then`;
}

function waitText(record: AppRecord, rollout: Rollout | null): string {
  const { app, hold } = record;
  const id = rollout?.id ?? app;
  const isPaused = rollout?.state === "paused";
  const status = isPaused
    ? `it is paused, \`grapevine resume ${app}\` lets it go on`
    : `\`grapevine status ${app}\` says for whom it waits`;
  if (hold?.by !== "rollout")
    return `no VM of ${app} serves: ${id} sends its requests on as soon as one does; ${status}`;
  const abort =
    rollout !== null && canAbort(record, rollout) ? `, \`grapevine abort ${app}\` takes it back` : "";
  return `${id} holds the requests of ${app}, and sends them on as soon as it can: ${status}${abort}`;
}

function canAbort(record: AppRecord, rollout: Rollout): boolean {
  const isReturning = rollout.kind === "deploy" || isScaleOrRestart(rollout);
  return isReturning && rollout.direction === "forward" && !onlyGoesForward(record, rollout);
}
