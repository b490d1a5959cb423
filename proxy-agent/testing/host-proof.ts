// Host proof: signed entries of a host that no mesh told of.

import { headBytes } from "../../mesh/core/head.ts";
import { encodeMember } from "../../mesh/core/member.ts";
import {
  encodeRecord,
  hostKey,
  MEMBER_KEY,
  memberName,
  ownerId,
  proveEntries,
  vmKey,
  vmName,
} from "../../mesh/index.ts";
import { standInCrypto } from "../../mesh/sim/stand-in-crypto.ts";
import { vmEntry } from "./cluster.ts";
import { hostEntry } from "./gate.ts";

/** What a host that no mesh told of says: who it is, where its gate is, and that its VM runs. */
export function hostProof(
  vm: string,
  gatePort: number,
  {
    name = "host-2",
    signer = name,
    hides = [],
  }: { readonly name?: string; readonly signer?: string; readonly hides?: readonly string[] } = {},
): Uint8Array {
  const owner = ownerId(`owner-of-${name}`);
  const start = { incarnation: 5, startId: 5 };
  const member = { role: "host", addresses: [], startedAtMs: 0, refutation: 0, isLeaving: false } as const;
  const values = new Map([
    [MEMBER_KEY, encodeMember({ ...member, name: memberName(name) })],
    [hostKey(memberName(name)), encodeRecord(hostEntry(memberName(name), gatePort))],
    [vmKey(vmName(vm)), encodeRecord(vmEntry(vm, 1, { host: memberName(name) }))],
  ]);
  const entries = [...values].map(([key, value], index) => ({
    owner,
    key,
    value,
    version: { ...start, counter: index + 1 },
  }));
  const crypto = standInCrypto(ownerId(`owner-of-${signer}`));
  const claim = {
    counter: 3,
    completeAt: 3,
    born: start,
    raisedAbove: 0,
    root: crypto.roots.rootOf(entries),
  };
  const head = { ...claim, signature: crypto.sign(headBytes(owner, start, claim)) };
  return proveEntries({ owner, start, head, entries }, (key) => !hides.includes(key), crypto.roots);
}
