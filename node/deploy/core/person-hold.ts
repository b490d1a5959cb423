// Person's hold: an app's requests are kept by every proxy because somebody said so, until somebody says that they go on. It touches no VM
// and no rollout: one that is under way goes on beside it.

import { type AppRecord, isUnderWay } from "../../../mesh/index.ts";
import { isHeldByStep } from "./held-step.ts";
import { isIdleHoldOwed, withoutHoldBy } from "./idle-hold.ts";
import { needsAcks } from "./standing.ts";

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
  const { app, hold, rollout } = record;
  if (hold?.by === "idle" && !isUnderWay(rollout))
    return { code: "invalid", message: `${app} sleeps: a request wakes it, and is sent on then` };
  if (hold?.by === "person" && isIdleHoldOwed(record))
    return { code: "changed", record: { ...record, hold: { ...hold, by: "idle" } } };
  // What was the rollout's, or would be, is the rollout's again: it has closed what served, and nothing new serves yet.
  if (hold?.by === "person" && isHeldByRollout(record))
    return { code: "changed", record: { ...record, hold: { ...hold, by: "rollout" } } };
  if (hold === undefined || hold.by === "person")
    return { code: "changed", record: hold === undefined ? record : withoutHoldBy("person", record) };
  const message = `${rollout?.id ?? app} holds the requests of ${app}, and sends them on as soon as it can: \`grapevine status ${app}\` says for whom it waits, \`grapevine abort ${app}\` takes it back`;
  return { code: "invalid", message };
}

function isHeldByRollout(record: AppRecord): boolean {
  const { rollout, vms } = record;
  if (!isUnderWay(rollout)) return false;
  return isHeldByStep(record) || !vms.some(({ phase }) => phase === "serving");
}
