// Connected voters: whom a proxy tells what only voters need to know.

import { connectedOwners, type Mesh, type OwnerId, type VoterDirectory } from "../../mesh/index.ts";

export function connectedVoters(
  mesh: Pick<Mesh, "members">,
  directory: Pick<VoterDirectory, "list">,
): ReadonlySet<OwnerId> {
  const voters = new Set(directory.list?.voters.map(({ owner }) => owner));
  return new Set([...connectedOwners(mesh.members())].filter((owner) => voters.has(owner)));
}
