// Fetch: hosts give each other what releases need (bundles, envs), by hash, over the mesh. Who gives is not trusted: the hash decides.

import { setTimeout as delay } from "node:timers/promises";
import { z } from "zod";
import {
  type BundleHash,
  CALL_CHUNK_BYTES_MAX,
  decodeRecord,
  encodeRecord,
  fail,
  isBundleHash,
  type MemberName,
  type MemberView,
  type Mesh,
  messageOf,
  type OwnerId,
  ok,
  type Result,
} from "../../mesh/index.ts";
import { unlessAborted } from "../unless-aborted.ts";
import type { ContentHash, ContentPut, ContentStore } from "./content-store.ts";

export interface ContentService<Hash extends ContentHash> {
  /** The mesh service: request `{ format: 1, hash }`, answer the bytes in order; it fails when they are not held, or refused. */
  readonly name: string;
  /** Why this member does not get it; null: it does. */
  readonly refusal: (hash: Hash, from: OwnerId) => string | null;
  /** Hosts that are asked before the others. */
  readonly holders: (hash: Hash) => readonly MemberName[];
}

/** Any member may have any bundle. */
export const BUNDLE_SERVICE: ContentService<BundleHash> = {
  name: "bundle",
  refusal: () => null,
  holders: () => [],
};

export interface ContentFetcherOptions {
  /** A member that sends nothing for so long is left for the next. Lower: slow disks are given up; raise: a dead peer holds a start up. */
  readonly stallTimeoutMs: number;
  /** Nobody had it: ask all again until then. A host that has it may be about to be connected. */
  readonly retryForMs: number;
  /**
   * The same while a host is away that may have it: more than the restart of an agent takes on a busy machine, since the only host that
   * has a release's files may be the one that was asked to deploy it. One that is dead for longer is not waited for.
   */
  readonly awayForMs: number;
}

/** Preset for one network: a stopped peer costs a start 3 s, as long as the mesh needs to drop it (`PINGS_MISSED_MAX`). */
export const FETCH_LAN: ContentFetcherOptions = {
  stallTimeoutMs: 3_000,
  retryForMs: 10_000,
  // As long as a dead host's VMs stay its own (`replace_after`).
  awayForMs: 60_000,
};
const RETRY_PAUSE_MS = 100;

export interface ContentFetcherDeps<Hash extends ContentHash> {
  readonly mesh: Mesh;
  readonly store: ContentStore<Hash>;
  readonly service: ContentService<Hash>;
}

interface Fetching {
  readonly result: Promise<Result<null>>;
  readonly cancel: AbortController;
  waiting: number;
}

const requestShape = z.strictObject({ format: z.literal(1), hash: z.string().refine(isBundleHash) });

export class ContentFetcher<Hash extends ContentHash> {
  readonly #options: ContentFetcherOptions;
  readonly #mesh: Mesh;
  readonly #store: ContentStore<Hash>;
  readonly #service: ContentService<Hash>;
  /** One fetch a hash at a time; who comes later waits for the same. */
  readonly #fetching = new Map<Hash, Fetching>();

  /** From here on this host answers others. */
  constructor(options: ContentFetcherOptions, deps: ContentFetcherDeps<Hash>) {
    this.#options = options;
    this.#mesh = deps.mesh;
    this.#store = deps.store;
    this.#service = deps.service;
    this.#mesh.handle(this.#service.name, (request, from) => this.#answer(request, from));
  }

  /**
   * Ok once the store holds it. Asks connected hosts one after another: `holders` first, then by name.
   * Never rejects; an abort is a failure like another, and the fetch itself ends when nobody waits for it any more.
   */
  async fetch(hash: Hash, signal: AbortSignal): Promise<Result<null>> {
    if (await this.#store.touch(hash)) return ok(null);
    const fetching = this.#fetching.get(hash) ?? this.#begin(hash);
    fetching.waiting += 1;
    try {
      return await unlessAborted(fetching.result, signal);
    } catch {
      return fail("aborted");
    } finally {
      fetching.waiting -= 1;
      if (fetching.waiting === 0) fetching.cancel.abort();
    }
  }

  async *#answer(request: Uint8Array, from: OwnerId): AsyncGenerator<Uint8Array> {
    const decoded = decodeRecord(requestShape, request);
    if (!decoded.ok) throw new Error(`${this.#service.name}: ${decoded.error}`);
    const hash = decoded.value.hash as string as Hash;
    const refusal = this.#service.refusal(hash, from);
    if (refusal !== null) throw new Error(refusal);
    if (!(await this.#store.touch(hash))) throw new Error("not held here");
    yield* this.#store.read(hash, CALL_CHUNK_BYTES_MAX);
  }

  #begin(hash: Hash): Fetching {
    const cancel = new AbortController();
    const result = this.#askAll(hash, cancel.signal)
      .catch((error: unknown) => fail(cancel.signal.aborted ? "aborted" : messageOf(error)))
      .finally(() => {
        if (this.#fetching.get(hash) === fetching) this.#fetching.delete(hash);
      });
    const fetching: Fetching = { result, cancel, waiting: 0 };
    // Nobody joins a fetch that was given up.
    cancel.signal.addEventListener("abort", () => {
      if (this.#fetching.get(hash) === fetching) this.#fetching.delete(hash);
    });
    this.#fetching.set(hash, fetching);
    return fetching;
  }

  async #askAll(hash: Hash, signal: AbortSignal): Promise<Result<null>> {
    const startedAtMs = performance.now();
    const { retryForMs, awayForMs } = this.#options;
    for (;;) {
      const refusals: string[] = [];
      // Before they are asked: who is back by the end of this round has not been.
      const away = this.#away();
      for (const member of this.#hosts(hash)) {
        const put = await this.#askOne(member, hash, signal);
        signal.throwIfAborted();
        if (put.code === "stored") return ok(null);
        // No other host's answer would fit this host's disk.
        if (put.code === "no-space") return fail(put.message);
        refusals.push(`${member.name}: ${put.message}`);
      }
      const forMs = away.length > 0 ? Math.max(retryForMs, awayForMs) : retryForMs;
      if (performance.now() >= startedAtMs + forMs) {
        const all = [...refusals, ...away.map(({ name }) => `${name}: not connected`)];
        return fail(all.join("; ") || "no other host is connected");
      }
      await delay(RETRY_PAUSE_MS, undefined, { signal });
    }
  }

  #hosts(hash: Hash): readonly MemberView[] {
    const holders = new Set(this.#service.holders(hash));
    const hosts = this.#mesh.members().filter((one) => one.role === "host" && one.connected && !one.self);
    return hosts.sort((left, right) => Number(holders.has(right.name)) - Number(holders.has(left.name)));
  }

  /** Those that may be back. */
  #away(): readonly MemberView[] {
    const hosts = this.#mesh.members().filter((one) => one.role === "host" && !one.connected);
    return hosts.filter(({ liveness: { state, sinceMs } }) => {
      if (state === "left") return false;
      return state !== "dead" || Date.now() - sinceMs < this.#options.awayForMs;
    });
  }

  async #askOne(
    member: MemberView,
    hash: Hash,
    signal: AbortSignal,
  ): Promise<ContentPut | { readonly code: "refused"; readonly message: string }> {
    const stalled = new AbortController();
    const timer = setTimeout(() => stalled.abort(), this.#options.stallTimeoutMs);
    const request = encodeRecord({ format: 1, hash });
    const chunks = this.#mesh.call(
      member.owner,
      this.#service.name,
      request,
      AbortSignal.any([signal, stalled.signal]),
    );
    try {
      return await this.#store.put(hash, refreshing(chunks, timer));
    } catch (error) {
      const stall = `sent nothing for ${this.#options.stallTimeoutMs} ms`;
      return { code: "refused", message: stalled.signal.aborted ? stall : messageOf(error) };
    } finally {
      clearTimeout(timer);
    }
  }
}

async function* refreshing(
  chunks: AsyncIterable<Uint8Array>,
  timer: NodeJS.Timeout,
): AsyncGenerator<Uint8Array> {
  for await (const chunk of chunks) {
    timer.refresh();
    yield chunk;
  }
}
