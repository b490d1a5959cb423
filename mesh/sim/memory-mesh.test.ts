import { expect, test } from "vitest";
import { forgetCompliance } from "./forget-compliance.ts";
import { MemoryHub } from "./memory-mesh.ts";
import { type ComplianceCluster, meshCompliance } from "./mesh-compliance.ts";
import { settledCompliance } from "./settled-compliance.ts";
import { untilSeen } from "./until.ts";

async function createCluster(): Promise<ComplianceCluster> {
  const hub = new MemoryHub();
  return {
    join: async (name, role) => hub.join({ name, role }),
    dispose: async () => undefined,
  };
}

meshCompliance("memory mesh", createCluster);
forgetCompliance("memory mesh", createCluster);
settledCompliance("memory mesh", createCluster);

test("a cut link carries nothing, others relay, and a healed one is synced", async () => {
  const hub = new MemoryHub();
  const [left, middle, right] = ["left", "middle", "right"].map((name) => hub.join({ name, role: "host" }));
  for (const mesh of [left!, middle!, right!]) mesh.announce();
  await untilSeen(right!, () => right!.members().length === 3);
  hub.disconnect(left!, right!);
  left!.write("vm/a", new Uint8Array([1]));
  await untilSeen(right!, () => right!.store.list("vm/").length === 1);
  expect(right!.tell(left!.self.owner, "ack", new Uint8Array())).toBe(false);
  hub.disconnect(middle!, right!);
  left!.write("vm/b", new Uint8Array([2]));
  await untilSeen(middle!, () => middle!.store.list("vm/").length === 2);
  expect(right!.store.list("vm/")).toHaveLength(1);
  hub.reconnect(right!, middle!);
  expect(right!.store.list("vm/")).toHaveLength(2);
});
