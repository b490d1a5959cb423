// Connected voters: whom one asks, or tells, what a voter knows, or only voters need to know.

import { connectedOwners, type Mesh } from "../../mesh.ts";
import type { Voter } from "../../register/voter-list.ts";
import type { VoterDirectory } from "./voter-directory.ts";

/** Ourselves too, if we are one; in the order of the list. */
export function connectedVoters(
  mesh: Pick<Mesh, "members">,
  directory: Pick<VoterDirectory, "list">,
): readonly Voter[] {
  const connected = connectedOwners(mesh.members());
  return (directory.list?.voters ?? []).filter(({ owner }) => connected.has(owner));
}
