// SettledCompliance: when every Mesh, over libp2p or in memory, says that all changes of a step were told.

import { afterEach, describe, expect, test } from "vitest";
import type { ComplianceCluster } from "./mesh-compliance.ts";
import { untilSeen } from "./until.ts";

const VALUE = new Uint8Array([1]);

export function settledCompliance(
  implementation: string,
  createCluster: () => Promise<ComplianceCluster>,
): void {
  let cluster: ComplianceCluster;

  describe(`${implementation}: the end of a step`, () => {
    afterEach(() => cluster.dispose());

    test("is told once after all changes that came together, and to nobody who unsubscribed", async () => {
      cluster = await createCluster();
      const reader = await cluster.join("proxy-1", "proxy");
      reader.announce();
      const writer = await cluster.join("host-1", "host");
      const told: string[] = [];
      reader.onChange(({ owner, key }) => owner === writer.self.owner && told.push(key));
      for (const key of ["vm/a", "vm/b", "vm/c"]) writer.write(key, VALUE);
      const unsubscribe = reader.onSettled(() => told.push("settled"));
      writer.announce();
      await untilSeen(reader, () => told.includes("vm/c"));
      await Promise.resolve();
      const from = told.indexOf("vm/a");
      expect(told.slice(from, from + 4)).toEqual(["vm/a", "vm/b", "vm/c", "settled"]);
      unsubscribe();
      told.length = 0;
      writer.write("vm/a", null);
      await untilSeen(reader, () => told.length > 0);
      await Promise.resolve();
      expect(told).toEqual(["vm/a"]);
    });
  });
}
