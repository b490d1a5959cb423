// Bundles: what this host has of the releases' files: the packed folders on its disk, how it gets those of others, and how they come to a VM.

import { join } from "node:path";
import type { Logger } from "pino";
import type { BundleHash, Mesh } from "../../mesh/index.ts";
import { ContentStore } from "./content-store.ts";
import { BUNDLE_SERVICE, ContentFetcher, FETCH_LAN } from "./fetch.ts";
import { Spares } from "./spares.ts";
import { unpackBundle } from "./unpack.ts";

export class Bundles {
  readonly store: ContentStore;
  readonly spares: Spares;
  readonly fetcher: ContentFetcher<BundleHash>;

  static async open(
    stateDir: string,
    { mesh, logger }: { readonly mesh: Mesh; readonly logger: Logger },
  ): Promise<Bundles> {
    const store = await ContentStore.open({ folder: join(stateDir, "bundles") }, { nowMs: Date.now });
    const unpack = (hash: BundleHash, folder: string) => unpackBundle(store.fileOf(hash), folder);
    const spares = await Spares.open(join(stateDir, "spares"), { unpack, logger });
    return new Bundles(store, spares, mesh);
  }

  private constructor(store: ContentStore, spares: Spares, mesh: Mesh) {
    this.store = store;
    this.spares = spares;
    this.fetcher = new ContentFetcher(FETCH_LAN, { mesh, store, service: BUNDLE_SERVICE });
  }

  /** From wherever they are. Rejects with a reason for people. */
  async unpack(hash: BundleHash, folder: string, signal: AbortSignal): Promise<void> {
    if (await this.spares.take(hash, folder)) return;
    const fetched = await this.fetcher.fetch(hash, signal);
    if (!fetched.ok) throw new Error(fetched.error);
    await unpackBundle(this.store.fileOf(hash), folder);
  }
}
