// A real host that is the one voter of its cluster: over libp2p, its registers on its disk, its voter list signed by a root key.

import path from "node:path";
import {
  type AppRecord,
  createClusterRoot,
  encodeVoterList,
  HostRegisters,
  type Register,
  Registers,
  type RunningMesh,
  signVoterList,
  startMesh,
} from "../../mesh/index.ts";
import { HOST_1, silent } from "./cluster.ts";

export interface ClusterRoot {
  readonly id: string;
  readonly keyFile: string;
}

export interface VoterOptions {
  /** Its state and the root key are there; both outlive it. */
  readonly folder: string;
  readonly root: ClusterRoot;
  readonly listen?: readonly string[];
}

const NEVER = new AbortController().signal;

/** A cluster of its own. */
export async function newRoot(folder: string): Promise<ClusterRoot> {
  const root = await createClusterRoot(path.join(folder, "root"));
  if (!root.ok) throw new Error(root.error);
  return root.value;
}

/** Two steps from the start of an agent: not announced, and no voter before `nameVoter`, unless its disk says that it is. */
export class VoterHost {
  readonly mesh: RunningMesh;
  readonly registers: Registers;
  readonly #root: ClusterRoot;
  readonly #host: HostRegisters;

  static async start(options: VoterOptions): Promise<VoterHost> {
    const { folder, root, listen = ["/ip4/127.0.0.1/tcp/0"] } = options;
    const stateDir = path.join(folder, HOST_1);
    const who = { cluster: root.id, name: HOST_1, role: "host", stateDir, advertise: [], seeds: [] } as const;
    const mesh = await startMesh({ ...who, listen }, { logger: silent });
    const registers = new Registers({ cluster: root.id }, { mesh, logger: silent });
    const host = await HostRegisters.open(registers, { stateDir });
    registers.start();
    host.start();
    return new VoterHost(mesh, registers, host, root);
  }

  private constructor(mesh: RunningMesh, registers: Registers, host: HostRegisters, root: ClusterRoot) {
    this.mesh = mesh;
    this.registers = registers;
    this.#host = host;
    this.#root = root;
  }

  /** "127.0.0.1:7946" */
  get seeds(): readonly string[] {
    return this.mesh.listenAddresses.map((address) => address.replace(/\/ip4\/(.*)\/tcp\/(.*)/, "$1:$2"));
  }

  /** It is the first and only voter from then on. */
  async nameVoter(): Promise<void> {
    const list = await this.#host.planFirst([HOST_1], NEVER);
    if (!list.ok) throw new Error(list.error);
    const { id: cluster, keyFile } = this.#root;
    const link = await signVoterList({ keyFile, cluster }, encodeVoterList(list.value));
    if (!link.ok) throw new Error(link.error);
    const installed = await this.#host.install(link.value, NEVER);
    if (!installed.ok) throw new Error(installed.error);
  }

  async commit(record: AppRecord): Promise<void> {
    const { register } = this;
    const epoch = (await register.read(record.app))?.epoch ?? 0;
    const { code } = await register.swap(record.app, epoch, record);
    if (code !== "committed") throw new Error(`not committed: ${code}`);
  }

  get register(): Register {
    if (this.#host.register === null) throw new Error(`${HOST_1} is no voter`);
    return this.#host.register;
  }

  async stop(): Promise<void> {
    await this.#host.stop();
    await this.mesh.stop();
  }
}
