import { afterEach, beforeEach, describe, expect, it } from "vitest";
import {
  type AppRecord,
  appName,
  encodeRecord,
  GATE_ENTRIES_BYTES_MAX,
  hostKey,
  MEMBER_KEY,
  type Mesh,
  memberName,
  readEntryProof,
  vmKey,
  vmName,
} from "../../mesh/index.ts";
import { Libp2pCluster } from "../../mesh/sim/libp2p-cluster.ts";
import { entriesOf } from "./gate-entries.ts";

const HELLO = appName("hello");
const HOST_1 = memberName("host-1");
const HOST_2 = memberName("host-2");
const V1 = vmName("hello-v1-1");
const V2 = vmName("hello-v2-1");

let cluster: Libp2pCluster;
let meshes: readonly [Mesh, Mesh];
beforeEach(async () => {
  cluster = await Libp2pCluster.create();
  meshes = [await cluster.join("host-1", "host"), await cluster.join("host-2", "host")];
});
afterEach(() => cluster.dispose());

const bytes = (text: string): Uint8Array => encodeRecord({ text });

/** Of a record that sends requests to a VM of either host; keys by the name of who signed them, read with another one's eyes. */
function provenTo(
  [mesh, reader]: readonly [Mesh, Mesh],
  bytesMax: number = GATE_ENTRIES_BYTES_MAX,
): Readonly<Record<string, readonly string[]>> {
  const vms = [
    { vm: V1, host: HOST_1, phase: "cordoned", release: 1, requires: null },
    { vm: V2, host: HOST_2, phase: "serving", release: 2, requires: null },
  ] as const;
  const committed = { epoch: 1, record: { app: HELLO, vms } as unknown as AppRecord };
  const apps = { get: () => committed } as unknown as Parameters<typeof entriesOf>[1]["registers"]["apps"];
  const proofs = entriesOf(HELLO, { mesh, registers: { apps } }, bytesMax);
  expect(proofs.reduce((sum, { length }) => sum + length, 0)).toBeLessThanOrEqual(bytesMax);
  const named = new Map(reader.members().map(({ owner, name }) => [owner, name]));
  return Object.fromEntries(
    proofs.map((proof) => {
      const read = readEntryProof(proof, reader.crypto);
      if (!read.ok) throw new Error(read.error);
      return [named.get(read.value.owner), read.value.entries.map(({ key }) => key)];
    }),
  );
}

/** Resolves once either has heard of the other what that wrote. */
async function heard(one: Mesh, two: Mesh): Promise<void> {
  const lacks = (mesh: Mesh, other: Mesh) =>
    mesh.store.get(other.self.owner, hostKey(other.self.name)) === undefined;
  while (lacks(one, two) || lacks(two, one))
    await new Promise<void>((resolve) => {
      for (const mesh of [one, two]) mesh.onChange(() => resolve());
    });
}

describe("what an agent proves of an app's VMs", () => {
  it("is who their hosts are, where their gates are, and what these say of those VMs alone, each signed by its host", async () => {
    const [one, two] = meshes;
    one.write(hostKey(HOST_1), bytes("gate"));
    one.write(vmKey(V1), bytes("runs"));
    two.write(hostKey(HOST_2), bytes("gate"));
    two.write(vmKey(V2), bytes("runs"));
    two.write(vmKey(vmName("other-v1-1")), bytes("runs"));
    one.announce();
    two.announce();
    await heard(one, two);
    expect(provenTo(meshes)).toEqual({
      "host-1": [MEMBER_KEY, hostKey(HOST_1), vmKey(V1)],
      "host-2": [MEMBER_KEY, hostKey(HOST_2), vmKey(V2)],
    });
  });

  it("leaves a host off that is over the bound, and none of the others", async () => {
    const [one, two] = meshes;
    one.write(hostKey(HOST_1), bytes("gate"));
    two.write(hostKey(HOST_2), bytes("gate"));
    two.write(vmKey(V2), new Uint8Array(1_000));
    one.announce();
    two.announce();
    await heard(one, two);
    expect(Object.keys(provenTo(meshes, 1_500))).toEqual(["host-1"]);
  });
});
