// Handoff keys: what an app file whose app never runs twice cannot mean.

import type { AppSpec } from "../../mesh/index.ts";
import type { KeyProblem } from "./key-shapes.ts";

/** One VM, behind a gate that closes it; null: so it can be. */
export function handoffProblem({
  deploy,
  count,
  gate = "on",
}: Pick<AppSpec, "deploy" | "count"> & { readonly gate?: "on" | "off" }): KeyProblem | null {
  const { strategy, cutover, minHealthyMs } = deploy;
  if (strategy !== "handoff") return null;
  if (count !== 1) {
    const message = `is ${count}, and with strategy = "handoff" two VMs never run at once: write count = 1`;
    return { key: "count", message };
  }
  if (gate === "off") {
    const message =
      'is "off", and strategy = "handoff" needs a gate that closes the old VM before the new one is started: remove it, or write strategy = "rolling"';
    return { key: "gate", message };
  }
  if (cutover === "atomic") {
    const message =
      'is "atomic", which strategy = "handoff" is of itself: no request is sent to the old VM after the new one was started; remove it';
    return { key: "deploy.cutover", message };
  }
  if (minHealthyMs === undefined) return null;
  const message =
    'keeps requests waiting for so long with strategy = "handoff": remove it, or write strategy = "rolling"';
  return { key: "deploy.min_healthy_time", message };
}
