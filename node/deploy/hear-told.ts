// Hear told: what gates confirm and what proxies count, each believed from who it is about alone.

import {
  type AppName,
  CANARY_TOPIC,
  canaryMessageShape,
  DEMAND_TOPIC,
  decodeRecord,
  demandMessageShape,
  GATE_TOPIC,
  gateMessageShape,
  type MemberName,
  type Mesh,
  type OwnerId,
} from "../../mesh/index.ts";
import type { RolloutInput } from "./core/rollout.ts";

export interface ToldDeps {
  readonly mesh: Pick<Mesh, "onTell">;
  readonly nameOf: (owner: OwnerId) => MemberName | undefined;
  /** Of an app that is not driven here it says nothing. */
  readonly onTold: (app: AppName, input: RolloutInput) => void;
}

export function hearTold({ mesh, nameOf, onTold }: ToldDeps): void {
  mesh.onTell(GATE_TOPIC, (message, from) => {
    const decoded = decodeRecord(gateMessageShape, message);
    if (!decoded.ok || nameOf(from) !== decoded.value.host) return;
    const { host, standings } = decoded.value;
    for (const standing of standings) onTold(standing.app, { kind: "gate", host, standing });
  });
  mesh.onTell(CANARY_TOPIC, (message, from) => {
    const decoded = decodeRecord(canaryMessageShape, message);
    if (!decoded.ok || nameOf(from) !== decoded.value.proxy) return;
    const { proxy, startId } = decoded.value;
    for (const counts of decoded.value.counts) onTold(counts.app, { kind: "counts", proxy, startId, counts });
  });
  mesh.onTell(DEMAND_TOPIC, (message, from) => {
    const decoded = decodeRecord(demandMessageShape, message);
    if (!decoded.ok || nameOf(from) !== decoded.value.proxy) return;
    const { proxy, demands } = decoded.value;
    for (const demand of demands) onTold(demand.app, { kind: "demand", proxy, demand });
  });
}
