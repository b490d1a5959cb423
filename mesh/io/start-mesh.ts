// Start mesh: loads libp2p when a mesh is started and not before: `grapevine status` needs none of it, and it costs 0.5 s.

import type { MeshDeps, MeshOptions, RunningMesh } from "./mesh-options.ts";

/** Opens identity, sockets and the loop. When it resolves we listen; seeds are still being dialed. */
export async function startMesh(options: MeshOptions, deps: MeshDeps): Promise<RunningMesh> {
  return (await import("./open-mesh.ts")).startMesh(options, deps);
}
