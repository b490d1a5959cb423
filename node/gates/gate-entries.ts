// Gate entries: what is known here of the VMs of an app, as their hosts signed it, for a proxy that the mesh does not reach: who each
// host is, where its gate is, and what it says of these VMs.

import {
  type AppName,
  type DesiredVm,
  GATE_ENTRIES_BYTES_MAX,
  hostKey,
  MEMBER_KEY,
  type MemberName,
  type Mesh,
  proveEntries,
  type Registers,
  vmKey,
} from "../../mesh/index.ts";

export interface GateEntriesDeps {
  readonly mesh: Mesh;
  readonly registers: { readonly apps: Pick<Registers["apps"], "get"> };
}

/** A proof a host, of as many as there is room for. */
export function entriesOf(
  app: AppName,
  { mesh, registers }: GateEntriesDeps,
  bytesMax: number = GATE_ENTRIES_BYTES_MAX,
): readonly Uint8Array[] {
  const vms = registers.apps.get(app)?.record.vms ?? [];
  // Those first that requests are sent to.
  const isSentTo = ({ phase }: DesiredVm) => phase === "serving" || phase === "opening";
  const inOrder = [...vms].sort((left, right) => Number(isSentTo(right)) - Number(isSentTo(left)));
  const proofs: Uint8Array[] = [];
  let bytesLeft = bytesMax;
  for (const host of new Set(inOrder.map(({ host }) => host))) {
    const keys = new Set([MEMBER_KEY, hostKey(host)]);
    for (const vm of vms) if (vm.host === host) keys.add(vmKey(vm.vm));
    const proof = proofOf(host, keys, mesh);
    if (proof === undefined || proof.length > bytesLeft) continue;
    proofs.push(proof);
    bytesLeft -= proof.length;
  }
  return proofs;
}

function proofOf(host: MemberName, keys: ReadonlySet<string>, mesh: Mesh): Uint8Array | undefined {
  const member = mesh.members().find(({ name, role }) => name === host && role === "host");
  const state = member === undefined ? undefined : mesh.inspection.signed(member.owner);
  return state === undefined ? undefined : proveEntries(state, (key) => keys.has(key), mesh.crypto.roots);
}
