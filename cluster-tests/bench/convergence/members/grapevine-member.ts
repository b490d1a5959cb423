// Grapevine member: what a measured host and a measured proxy share: the keys of their configuration, and who is connected.

import { join } from "node:path";
import {
  connectedOwners,
  type MemberConfig,
  type Mesh,
  memberName,
  type RunningMesh,
} from "../../../../mesh/index.ts";
import type { MemberSetting } from "../protocol.ts";

export function memberConfigOf({
  name,
  address,
  folder,
  config,
}: Pick<MemberSetting, "name" | "address" | "folder" | "config">): MemberConfig {
  return {
    name: memberName(name),
    stateDir: join(folder, "state"),
    cluster: config.cluster ?? "",
    listen: `${address}:0`,
    advertise: [],
    seeds: config.seeds ?? [],
    region: "default",
    labels: {},
    logLevel: "warn",
  };
}

/** "127.0.0.1:34567": where its mesh listens. */
export function contactOf(mesh: RunningMesh | undefined): string {
  const [, , host = "", , port = ""] = mesh?.listenAddresses[0]?.split("/") ?? [];
  return `${host}:${port}`;
}

/** To so many others. */
export async function untilConnected(mesh: Mesh | undefined, others: number): Promise<void> {
  if (mesh === undefined) throw new Error("bench: no mesh was started");
  const { promise, resolve } = Promise.withResolvers<void>();
  const look = (): void => {
    if (connectedOwners(mesh.members()).size > others) resolve();
  };
  const unsubscribe = mesh.onMembers(look);
  look();
  await promise;
  unsubscribe();
}
