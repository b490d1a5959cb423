// Names: how people call the owners of entries.

import {
  describeVersion,
  type MemberName,
  type MemberView,
  type Mesh,
  type OwnerId,
  type Version,
} from "../../mesh/index.ts";

export class OwnerNames {
  readonly #names: ReadonlyMap<OwnerId, MemberName>;

  constructor(members: readonly MemberView[]) {
    this.#names = new Map(members.map(({ owner, name }) => [owner, name]));
  }

  static of(mesh: Pick<Mesh, "members">): OwnerNames {
    return new OwnerNames(mesh.members());
  }

  /** null: its member entry is not here, or another member of its name hides it. */
  name(owner: OwnerId): MemberName | null {
    return this.#names.get(owner) ?? null;
  }
}

/** Names for those who need them at every change: made anew only when a member came, went or was judged otherwise. */
export class NameBook {
  readonly #mesh: Pick<Mesh, "members" | "onMembers">;
  #names: OwnerNames | null = null;

  /** For as long as the mesh: it has no end of its own. */
  constructor(mesh: Pick<Mesh, "members" | "onMembers">) {
    this.#mesh = mesh;
    mesh.onMembers(() => {
      this.#names = null;
    });
  }

  get names(): OwnerNames {
    this.#names ??= OwnerNames.of(this.#mesh);
    return this.#names;
  }
}

/** How long it is so, whole seconds. */
export function secondsSince(sinceMs: number): number {
  return Math.max(0, Math.round((Date.now() - sinceMs) / 1_000));
}

/** As people read it, and as programs compare it. */
export interface VersionView extends Version {
  readonly text: string;
}

export function viewVersion({ incarnation, startId, counter }: Version): VersionView {
  const version = { incarnation, startId, counter };
  return { ...version, text: describeVersion(version) };
}
