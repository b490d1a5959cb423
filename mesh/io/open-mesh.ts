// Open mesh: what a member keeps on its disk is opened and read, and then its mesh is started with it.

import { ForgetFile } from "./forget-file.ts";
import { createHeadCrypto } from "./head-crypto.ts";
import { openIdentity } from "./identity.ts";
import { Libp2pMesh } from "./mesh.ts";
import { assertMeshOptions, type MeshDeps, type MeshOptions, type RunningMesh } from "./mesh-options.ts";
import { Snapshot } from "./snapshot.ts";

/** Opens identity, sockets and the loop. When it resolves we listen; seeds are still being dialed. */
export async function startMesh(options: MeshOptions, deps: MeshDeps): Promise<RunningMesh> {
  assertMeshOptions(options);
  const { stateDir } = options;
  const { logger, nowMs = Date.now } = deps;
  const identity = await openIdentity(stateDir, nowMs());
  const { crypto = createHeadCrypto(identity.privateKey) } = deps;
  const snapshot = await Snapshot.open(options, { logger });
  const forgetFile = new ForgetFile(stateDir, logger);
  const forgets = { file: forgetFile, kept: await forgetFile.read() };
  const mesh = new Libp2pMesh(options, { identity, crypto, snapshot, forgets, logger });
  try {
    await mesh.start();
  } catch (error) {
    await mesh.stop();
    throw error;
  }
  return mesh;
}
