// Ack inbox: what proxies tell of themselves, each believed only from its owner. The first answer after a connect counts only
// once the store of who gave it was taken in: a coordinator that just started might not have heard of another proxy yet, and
// would take the answers of those it knows for the answers of all.

import {
  type Ack,
  type AppName,
  ackMessageShape,
  connectedOwners,
  decodeRecord,
  type MemberName,
  type Mesh,
  type OwnerId,
} from "../../mesh/index.ts";

export interface AckInboxDeps {
  readonly mesh: Mesh;
  readonly nameOf: (owner: OwnerId) => MemberName | undefined;
  /** Acks of other apps are dropped: what waits here is bounded by the apps that there are. */
  readonly isDriven: (app: AppName) => boolean;
  readonly onAck: (proxy: MemberName, ack: Ack) => void;
}

/** `syncing`: its answers wait, the newest of each app. `known`: they are passed on at once. */
type Standing =
  | { readonly kind: "syncing"; readonly waiting: Map<AppName, Ack> }
  | { readonly kind: "known" };

export class AckInbox {
  readonly #deps: AckInboxDeps;
  readonly #standings = new Map<OwnerId, Standing>();
  readonly #stopping = new AbortController();
  readonly #syncs = new Set<Promise<void>>();

  constructor(deps: AckInboxDeps) {
    this.#deps = deps;
  }

  receive(message: Uint8Array, from: OwnerId): void {
    if (this.#stopping.signal.aborted) return;
    const decoded = decodeRecord(ackMessageShape, message);
    if (!decoded.ok) return;
    const { proxy, acks } = decoded.value;
    // ignore: only a proxy speaks for itself; anything else is a peer's mistake and says nothing. One that just connected may
    // have no name here yet: who it is comes with its store, and is asked again then.
    const name = this.#deps.nameOf(from);
    if (name !== proxy && (name !== undefined || this.#standings.get(from)?.kind === "known")) return;
    const standing = this.#standings.get(from) ?? this.#sync(from, proxy);
    for (const ack of acks.filter(({ app }) => this.#deps.isDriven(app))) {
      if (standing.kind === "known") this.#deps.onAck(proxy, ack);
      else standing.waiting.set(ack.app, ack);
    }
  }

  /** Who was lost is synced with again when it is back. */
  membersChanged(): void {
    const connected = connectedOwners(this.#deps.mesh.members());
    for (const owner of this.#standings.keys()) if (!connected.has(owner)) this.#standings.delete(owner);
  }

  async stop(): Promise<void> {
    this.#stopping.abort();
    await Promise.all(this.#syncs);
  }

  #sync(owner: OwnerId, proxy: MemberName): Standing {
    const standing = { kind: "syncing", waiting: new Map<AppName, Ack>() } as const;
    this.#standings.set(owner, standing);
    const done = this.#deps.mesh
      .sync(owner, this.#stopping.signal)
      .then(
        () => this.#synced(owner, proxy, standing),
        // Lost on the way: its next answer begins anew.
        () => this.#forget(owner, standing),
      )
      .finally(() => this.#syncs.delete(done));
    this.#syncs.add(done);
    return standing;
  }

  #synced(owner: OwnerId, proxy: MemberName, standing: Standing & { readonly kind: "syncing" }): void {
    if (this.#standings.get(owner) !== standing || this.#stopping.signal.aborted) return;
    if (this.#deps.nameOf(owner) !== proxy) {
      this.#standings.delete(owner);
      return;
    }
    this.#standings.set(owner, { kind: "known" });
    for (const ack of standing.waiting.values()) this.#deps.onAck(proxy, ack);
  }

  #forget(owner: OwnerId, standing: Standing): void {
    if (this.#standings.get(owner) === standing) this.#standings.delete(owner);
  }
}
