// Handoff keys: what an app file whose app never runs twice cannot mean.

import type { AppSpec } from "../../mesh/index.ts";
import type { KeyProblem } from "./key-shapes.ts";

export interface HandoffKeys extends Pick<AppSpec, "deploy" | "count"> {
  readonly gate?: "on" | "off" | undefined;
  readonly exclusive?: boolean | undefined;
  readonly volumes?: AppSpec["volumes"] | undefined;
}

/** One VM, behind a gate that closes it; null: so it can be. */
export function handoffProblem({
  deploy,
  count,
  gate = "on",
  exclusive = false,
  volumes = [],
}: HandoffKeys): KeyProblem | null {
  const { strategy, cutover, minHealthyMs } = deploy;
  if (strategy !== "handoff") return null;
  // What the file says of it: a strategy may not stand there.
  const implied = exclusive ? "exclusive = true" : volumes.length > 0 ? "[[volumes]]" : null;
  const why = implied ?? 'strategy = "handoff"';
  const otherwise = implied === null ? 'write strategy = "rolling"' : `give ${implied} up`;
  if (count !== 1) {
    const message = `is ${count}, and with ${why} two VMs never run at once: write count = 1`;
    return { key: "count", message };
  }
  if (gate === "off") {
    const message = `is "off", and with ${why} a gate must close the old VM before the new one is started: remove it, or ${otherwise}`;
    return { key: "gate", message };
  }
  if (cutover === "atomic") {
    const message = `is "atomic", and with ${why} it is so of itself: no request is sent to the old VM after the new one was started; remove it`;
    return { key: "deploy.cutover", message };
  }
  if (minHealthyMs === undefined) return null;
  const message = `keeps requests waiting for so long with ${why}: remove it, or ${otherwise}`;
  return { key: "deploy.min_healthy_time", message };
}
