// Skip: why a release whose strategy is canary takes over without one. Then it is a rolling deploy.

import type { AppRecord } from "../../../../mesh/index.ts";
import { needsAcks } from "../standing.ts";

/**
 * Null: it bakes. Here is where an app whose VMs have data of their own is to be told apart: two releases on one volume are no canary.
 * That nothing serves to be compared with, the strategy sees by itself.
 */
export function whyNoCanary(record: AppRecord): string | null {
  return needsAcks(record) ? null : "it has no hostname, so no proxy counts its requests";
}
