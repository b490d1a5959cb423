// Desired: the records in force on this host, folded from `app/*` entries. Believed from voters only; an epoch never goes back.

import {
  APP_PREFIX,
  type AppName,
  type CommittedApp,
  compareVersions,
  decodeCommittedApp,
  type Entry,
  type MemberName,
  type Mesh,
  type OwnerId,
  type Version,
} from "../mesh/index.ts";

export class DesiredRecords {
  readonly #mesh: Mesh;
  readonly #voters: ReadonlySet<MemberName>;
  readonly #records = new Map<AppName, CommittedApp>();
  /** By owner and key: what was judged once is not decoded again. Bounded by the mesh's store. */
  readonly #judged = new Map<string, Version>();
  #refused = 0;

  constructor(mesh: Mesh, voters: readonly MemberName[]) {
    this.#mesh = mesh;
    this.#voters = new Set(voters);
  }

  /** Records that could not be decoded, since the start: a voter of another release, or a bug. */
  get refused(): number {
    return this.#refused;
  }

  /** Deleted ones included. */
  all(): readonly CommittedApp[] {
    return [...this.#records.values()];
  }

  /** Takes over what the store holds. True when a record changed. */
  refresh(): boolean {
    const voters = this.#votersByOwner();
    let changed = false;
    for (const entry of this.#mesh.store.list(APP_PREFIX)) {
      if (voters.has(entry.owner) && this.#isNews(entry)) changed = this.#take(entry) || changed;
    }
    return changed;
  }

  #votersByOwner(): ReadonlySet<OwnerId> {
    const hosts = this.#mesh.members().filter((member) => member.role === "host");
    return new Set(hosts.filter((host) => this.#voters.has(host.name)).map((host) => host.owner));
  }

  #isNews({ owner, key, version }: Entry): boolean {
    const slot = `${owner} ${key}`;
    const judged = this.#judged.get(slot);
    if (judged !== undefined && compareVersions(judged, version) === 0) return false;
    this.#judged.set(slot, version);
    return true;
  }

  #take(entry: Entry): boolean {
    if (entry.value === null) return false;
    const decoded = decodeCommittedApp(entry.value);
    if (!decoded.ok) {
      this.#refused++;
      return false;
    }
    const { app } = decoded.value.record;
    if ((this.#records.get(app)?.epoch ?? 0) >= decoded.value.epoch) return false;
    this.#records.set(app, decoded.value);
    return true;
  }
}
