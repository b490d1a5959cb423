// Tell voters: what a proxy tells that only voters need to know.

import { connectedVoters, encodeRecord, type Mesh, type VoterDirectory } from "../../mesh/index.ts";

export interface TellVotersDeps {
  readonly mesh: Pick<Mesh, "self" | "members" | "tell">;
  readonly directory: Pick<VoterDirectory, "list">;
}

export function tellVoters({ mesh, directory }: TellVotersDeps, topic: string, message: object): void {
  const bytes = encodeRecord(message);
  for (const { owner } of connectedVoters(mesh, directory)) mesh.tell(owner, topic, bytes);
}
