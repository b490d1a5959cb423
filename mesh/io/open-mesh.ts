// Open mesh: what a member keeps on its disk is opened and read, and then its mesh is started with it.

import { isName } from "../core/ids.ts";
import { CLUSTER_ID_CHARS_MAX } from "../limits.ts";
import { ForgetFile } from "./forget-file.ts";
import { createHeadCrypto } from "./head-crypto.ts";
import { openIdentity } from "./identity.ts";
import { Libp2pMesh } from "./mesh.ts";
import type { MeshDeps, MeshOptions, RunningMesh } from "./mesh-options.ts";
import { Snapshot } from "./snapshot.ts";

/** It becomes part of protocol ids and of the topic: nothing that splits them. */
const CLUSTER_ID = new RegExp(`^[A-Za-z0-9-]{1,${CLUSTER_ID_CHARS_MAX}}$`);

/** Opens identity, sockets and the loop. When it resolves we listen; seeds are still being dialed. */
export async function startMesh(options: MeshOptions, deps: MeshDeps): Promise<RunningMesh> {
  const { cluster, name, stateDir } = options;
  if (!CLUSTER_ID.test(cluster)) throw new Error(`mesh: bad cluster id ${JSON.stringify(cluster)}`);
  if (!isName(name)) throw new Error(`mesh: bad member name ${JSON.stringify(name)}`);
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
