// Fetch: hosts give each other the bundles of releases, by hash, over the mesh. Who gives is not trusted: the hash decides.

import { setTimeout as delay } from "node:timers/promises";
import { z } from "zod";
import {
  type BundleHash,
  bundleHash,
  CALL_CHUNK_BYTES_MAX,
  decodeRecord,
  encodeRecord,
  fail,
  isBundleHash,
  type MemberView,
  type Mesh,
  messageOf,
  ok,
  type Result,
} from "../../mesh/index.ts";
import { unlessAborted } from "../unless-aborted.ts";
import type { BundlePut, BundleStore } from "./bundle-store.ts";

/** The mesh service: request `{ format: 1, hash }`, answer the bundle's bytes in order; it fails when it is not held. */
const BUNDLE_SERVICE = "bundle";

export interface BundleFetcherOptions {
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
export const FETCH_LAN: BundleFetcherOptions = {
  stallTimeoutMs: 3_000,
  retryForMs: 10_000,
  // As long as a dead host's VMs stay its own (`replace_after`).
  awayForMs: 60_000,
};
const RETRY_PAUSE_MS = 100;

export interface BundleFetcherDeps {
  readonly mesh: Mesh;
  readonly store: BundleStore;
}

interface Fetching {
  readonly result: Promise<Result<null>>;
  readonly cancel: AbortController;
  waiting: number;
}

const requestShape = z.strictObject({ format: z.literal(1), hash: z.string().refine(isBundleHash) });

export class BundleFetcher {
  readonly #options: BundleFetcherOptions;
  readonly #mesh: Mesh;
  readonly #store: BundleStore;
  /** One fetch a hash at a time; who comes later waits for the same. */
  readonly #fetching = new Map<BundleHash, Fetching>();

  /** From here on this host answers others. */
  constructor(options: BundleFetcherOptions, deps: BundleFetcherDeps) {
    this.#options = options;
    this.#mesh = deps.mesh;
    this.#store = deps.store;
    this.#mesh.handle(BUNDLE_SERVICE, (request) => this.#answer(request));
  }

  /**
   * Ok once the store holds the bundle. Asks connected hosts one after another, by name.
   * Never rejects; an abort is a failure like another, and the fetch itself ends when nobody waits for it any more.
   */
  async fetch(hash: BundleHash, signal: AbortSignal): Promise<Result<null>> {
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

  async *#answer(request: Uint8Array): AsyncGenerator<Uint8Array> {
    const decoded = decodeRecord(requestShape, request);
    if (!decoded.ok) throw new Error(`bundle: ${decoded.error}`);
    const hash = bundleHash(decoded.value.hash);
    if (!(await this.#store.touch(hash))) throw new Error("not held here");
    yield* this.#store.read(hash, CALL_CHUNK_BYTES_MAX);
  }

  #begin(hash: BundleHash): Fetching {
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

  async #askAll(hash: BundleHash, signal: AbortSignal): Promise<Result<null>> {
    const startedAtMs = performance.now();
    const { retryForMs, awayForMs } = this.#options;
    for (;;) {
      const refusals: string[] = [];
      // Before they are asked: who is back by the end of this round has not been.
      const away = this.#away();
      for (const member of this.#hosts()) {
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

  #hosts(): readonly MemberView[] {
    return this.#mesh.members().filter((one) => one.role === "host" && one.connected && !one.self);
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
    hash: BundleHash,
    signal: AbortSignal,
  ): Promise<BundlePut | { readonly code: "refused"; readonly message: string }> {
    const stalled = new AbortController();
    const timer = setTimeout(() => stalled.abort(), this.#options.stallTimeoutMs);
    const request = encodeRecord({ format: 1, hash });
    const chunks = this.#mesh.call(
      member.owner,
      BUNDLE_SERVICE,
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
