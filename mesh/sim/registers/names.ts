// Names: hosts are numbers, host-3 is of owner-3; its voter has the id 0…03, and after a lost disk another one.

import { memberName, type OwnerId, ownerId } from "../../core/ids.ts";
import { type VoterId, voterId } from "../../register/ballot.ts";
import type { Voter } from "../../register/voter-list.ts";

const OWNER = "owner-";
const ID_DIGITS = 16;

export function ownerOf(host: number): OwnerId {
  return ownerId(`${OWNER}${host}`);
}

export function hostOf(owner: OwnerId): number {
  return Number(owner.slice(OWNER.length));
}

/** Of the disk of this number, counted over all hosts. */
export function voterIdOf(disk: number): VoterId {
  return voterId(disk.toString(16).padStart(ID_DIGITS, "0"));
}

export function voterOfHost(host: number, id: VoterId): Voter {
  return { id, owner: ownerOf(host), name: memberName(`host-${host}`) };
}
