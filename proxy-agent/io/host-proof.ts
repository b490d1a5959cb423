// Host proof: entries of one host that came by another way than the mesh, and whether they count: its owner signed them, calls itself
// a host, and nobody else is known by that name.

import {
  decodeMemberEntry,
  type Entry,
  fail,
  hostKey,
  MEMBER_KEY,
  type MemberName,
  type Mesh,
  type OwnerId,
  ok,
  type Result,
  readEntryProof,
} from "../../mesh/index.ts";

export interface ProvenHost {
  readonly owner: OwnerId;
  readonly name: MemberName;
  readonly entries: readonly Entry[];
}

export function readHostProof(
  proof: Uint8Array,
  mesh: Pick<Mesh, "crypto" | "named" | "forgotten">,
): Result<ProvenHost> {
  const read = readEntryProof(proof, mesh.crypto);
  if (!read.ok) return fail(read.error);
  const { owner, entries } = read.value;
  const value = entries.find(({ key }) => key === MEMBER_KEY)?.value;
  const member = value == null ? fail("it does not say who it is") : decodeMemberEntry(value);
  if (!member.ok) return fail(member.error);
  const { name, role } = member.value;
  if (role !== "host") return fail(`${name} is no host`);
  // Without it its VMs would be dialled past its gate.
  if (!entries.some(({ key }) => key === hostKey(name)))
    return fail(`it does not say where the gate of ${name} is`);
  if (mesh.named(name).some((other) => other.owner !== owner))
    return fail(`another owner is known as ${name}`);
  if (mesh.forgotten().some((gone) => gone.owner === owner)) return fail(`${name} was forgotten`);
  return ok({ owner, name, entries });
}
