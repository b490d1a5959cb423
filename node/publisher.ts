// Publisher: the only writer of our host state for vm/* and host/*. What it writes, the mesh versions and spreads.

import {
  encodeRecord,
  type HostEntry,
  hostKey,
  type Mesh,
  type VmEntry,
  type VmName,
  vmKey,
} from "../mesh/index.ts";

export interface PublisherDeps {
  readonly mesh: Mesh;
}

export class Publisher {
  readonly #mesh: Mesh;

  constructor(deps: PublisherDeps) {
    this.#mesh = deps.mesh;
  }

  /** Null: the VM is gone. Publishing what is published already changes nothing. */
  publishVm(vm: VmName, entry: VmEntry | null): void {
    this.#mesh.write(vmKey(vm), entry === null ? null : encodeRecord(entry));
  }

  publishHost(entry: HostEntry): void {
    this.#mesh.write(hostKey(entry.host), encodeRecord(entry));
  }
}
