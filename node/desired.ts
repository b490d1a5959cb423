// Desired: the records in force on this host, folded from `app/*` entries. Believed from voters only; an epoch never goes back.

import {
  APP_PREFIX,
  type AppName,
  appKey,
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
  /** A voter's newest record under it could not be decoded: the voter is of another release, or it is a bug. */
  readonly #unreadable = new Set<string>();

  constructor(mesh: Mesh, voters: readonly MemberName[]) {
    this.#mesh = mesh;
    this.#voters = new Set(voters);
  }

  /** Keys of records that we cannot read: what they want, and which bundles, is not known. */
  get unreadable(): ReadonlySet<string> {
    return this.#unreadable;
  }

  /** It has a record, but none that we can read: what it wants is not known, which is not that it wants nothing. */
  isUnknown(app: AppName): boolean {
    return this.#unreadable.has(appKey(app)) && !this.#records.has(app);
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
      this.#unreadable.add(entry.key);
      return false;
    }
    this.#unreadable.delete(entry.key);
    const { app } = decoded.value.record;
    if ((this.#records.get(app)?.epoch ?? 0) >= decoded.value.epoch) return false;
    this.#records.set(app, decoded.value);
    return true;
  }
}
