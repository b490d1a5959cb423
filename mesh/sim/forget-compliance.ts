// ForgetCompliance: what forgetting does in every Mesh, over libp2p or in memory.

import { afterEach, describe, expect, test } from "vitest";
import { memberName, ownerId } from "../core/ids.ts";
import type { EntryChange, Mesh } from "../mesh.ts";
import type { ComplianceCluster } from "./mesh-compliance.ts";
import { untilFull, untilSeen } from "./until.ts";

const VALUE = new Uint8Array([1]);

export function forgetCompliance(
  implementation: string,
  createCluster: () => Promise<ComplianceCluster>,
): void {
  let cluster: ComplianceCluster;
  let [teller, hearer, gone] = [] as unknown as [Mesh, Mesh, Mesh];

  /** The third wrote something, all have it, and it stopped. */
  async function lose(): Promise<void> {
    cluster = await createCluster();
    teller = await cluster.join("host-1", "host");
    hearer = await cluster.join("proxy-1", "proxy");
    gone = await cluster.join("host-3", "host");
    for (const mesh of [teller, hearer, gone]) mesh.announce();
    await untilFull([teller, hearer, gone]);
    gone.write("vm/a", VALUE);
    for (const mesh of [teller, hearer])
      await untilSeen(mesh, () => mesh.store.get(gone.self.owner, "vm/a") !== undefined);
    await gone.stop();
  }

  const isGone = (mesh: Mesh) => () => mesh.store.head(gone.self.owner) === undefined;

  describe(`${implementation}: forgetting`, () => {
    afterEach(() => cluster.dispose());

    test("takes all of an owner away at every member, told as forgotten, and its name from the members", async () => {
      await lose();
      const changes: EntryChange[] = [];
      hearer.onChange((change) => change.owner === gone.self.owner && changes.push(change));
      const version = await teller.forget(gone.self.owner);
      expect(version).toEqual(teller.store.head(teller.self.owner));
      await untilSeen(hearer, isGone(hearer));
      for (const mesh of [teller, hearer]) {
        expect(mesh.store.list("vm/")).toEqual([]);
        expect(mesh.members().map(({ name }) => name)).not.toContain("host-3");
        expect(mesh.forgotten()).toEqual([{ owner: gone.self.owner, name: memberName("host-3") }]);
      }
      expect(changes.map(({ key }) => key).sort()).toEqual(["member", "vm/a"]);
      expect(changes.every(({ path, value }) => path === "forgotten" && value === null)).toBe(true);
    });

    test("lets a later start in, as if nothing had been", async () => {
      await lose();
      await teller.forget(gone.self.owner);
      await untilSeen(hearer, isGone(hearer));
      const again = await cluster.join("host-3", "host");
      again.write("vm/a", VALUE);
      again.announce();
      for (const mesh of [teller, hearer]) {
        await untilSeen(mesh, () => mesh.store.get(gone.self.owner, "vm/a") !== undefined);
        expect(mesh.forgotten()).toEqual([]);
        expect(mesh.named(memberName("host-3"))).toMatchObject([{ owner: gone.self.owner }]);
      }
    });

    test("said before, by whomever, is said again, for who must know that all have heard it", async () => {
      await lose();
      const first = await teller.forget(gone.self.owner);
      expect(await teller.forget(gone.self.owner)).toEqual(first);
      await untilSeen(hearer, isGone(hearer));
      const version = await hearer.forget(gone.self.owner);
      if (version === undefined) throw new Error("nothing was said");
      expect((await hearer.whenApplied(version, AbortSignal.timeout(5_000))).missing).toEqual([]);
    });

    test("of one of whom nothing is held says nothing, and of ourselves is a bug", async () => {
      await lose();
      expect(await teller.forget(ownerId("nobody"))).toBeUndefined();
      await expect((async () => teller.forget(teller.self.owner))()).rejects.toThrow("bug");
    });
  });
}
