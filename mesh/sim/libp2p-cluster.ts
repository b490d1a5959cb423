// Libp2pCluster: real meshes in one process, over loopback, in a folder of their own that goes with them.

import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Logger, pino } from "pino";
import type { HeadCrypto } from "../core/head.ts";
import { memberName } from "../core/ids.ts";
import type { MeshOptions, RunningMesh } from "../io/mesh-options.ts";
import { startMesh } from "../io/open-mesh.ts";
import type { MemberRole } from "../mesh.ts";

export type JoinOverrides = Partial<Pick<MeshOptions, "cluster" | "seeds" | "listen" | "advertise">> & {
  readonly logger?: Logger;
  readonly crypto?: HeadCrypto;
  readonly nowMs?: () => number;
};

export class Libp2pCluster {
  readonly #folder: string;
  readonly #running: RunningMesh[] = [];
  readonly #seeds = new Set<string>();

  private constructor(folder: string) {
    this.#folder = folder;
  }

  static async create(): Promise<Libp2pCluster> {
    return new Libp2pCluster(await mkdtemp(join(tmpdir(), "grapevine-mesh-")));
  }

  /** A member with its own state folder; again after its `stop()`: its restart. Seeds: all that joined before. */
  async join(name: string, role: MemberRole, overrides: JoinOverrides = {}): Promise<RunningMesh> {
    const { logger = pino({ level: "silent" }), crypto, nowMs, ...rest } = overrides;
    const options: MeshOptions = {
      cluster: "test",
      name: memberName(name),
      role,
      stateDir: this.stateDir(name),
      listen: ["/ip4/127.0.0.1/tcp/0"],
      advertise: [],
      seeds: [...this.#seeds],
      ...rest,
    };
    const mesh = await startMesh(options, {
      logger,
      ...(crypto === undefined ? {} : { crypto }),
      ...(nowMs === undefined ? {} : { nowMs }),
    });
    this.#running.push(mesh);
    for (const address of mesh.listenAddresses) this.#seeds.add(address);
    return mesh;
  }

  stateDir(name: string): string {
    return join(this.#folder, name);
  }

  async dispose(): Promise<void> {
    await Promise.all(this.#running.map((mesh) => mesh.stop()));
    await rm(this.#folder, { recursive: true });
  }
}
