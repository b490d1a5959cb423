// Envs: the env of releases, on this host's disk if it has to do with them. It is given to hosts that a certified record gives a VM of
// that release, over a stream of their own, and to nobody else. What it says is in no log, error or answer.

import { randomBytes } from "node:crypto";
import { readFile, rm } from "node:fs/promises";
import { setTimeout as delay } from "node:timers/promises";
import type { Logger } from "pino";
import { z } from "zod";
import {
  type CertifiedApps,
  decodeRecord,
  type EnvHash,
  type EnvRef,
  encodeRecord,
  envHash,
  fail,
  isEnvHash,
  type MemberView,
  type Mesh,
  messageOf,
  type OwnerId,
  ok,
  type Result,
} from "../../mesh/index.ts";
import { type ContentKind, ContentStore } from "./content-store.ts";
import { ENV_BLOB_BYTES_MAX, type EnvValues, isSameMark, markOf, openEnv, sealEnv } from "./env-blob.ts";
import { holdersOf, hostsOf, isOnItsWay } from "./env-rights.ts";
import { ContentFetcher, type ContentFetcherOptions } from "./fetch.ts";

const ENVS: ContentKind = {
  name: "env",
  suffix: ".env",
  fileMode: 0o600,
  folderMode: 0o700,
  bytesMax: ENV_BLOB_BYTES_MAX,
};
const ENV_SERVICE = "env";
/** Request `{ format: 1, hash, nonce, mark }`, answer `{ format: 1, equal }`. */
const SAME_SERVICE = "env-same";
/** Who would learn an env by guessing gets four guesses a second, and only while its deploy runs. */
const SAME_PAUSE_MS = 250;
/** That the deploy runs we may not have heard yet, nor the one that is asked. */
const SAME_TRIES_MAX = 8;
const SAME_TIMEOUT_MS = 1_000;

const requestShape = z.strictObject({
  format: z.literal(1),
  hash: z.string().refine(isEnvHash).transform(envHash),
  nonce: z.instanceof(Uint8Array).refine(({ byteLength }) => byteLength === 32),
  mark: z.instanceof(Uint8Array).refine(({ byteLength }) => byteLength === 32),
});
const answerShape = z.strictObject({ format: z.literal(1), equal: z.boolean() });

export interface EnvsOptions {
  /** `state_dir/envs`; made if it is not there. */
  readonly folder: string;
  readonly fetch: ContentFetcherOptions;
}

export interface EnvsDeps {
  readonly mesh: Mesh;
  readonly apps: Pick<CertifiedApps, "all">;
  readonly logger: Pick<Logger, "debug">;
  /** Milliseconds since 1970. */
  readonly nowMs: () => number;
}

export class Envs {
  readonly #deps: EnvsDeps;
  readonly #store: ContentStore<EnvHash>;
  readonly #fetcher: ContentFetcher<EnvHash>;
  #served = 0;
  #refused = 0;
  #comparedAtMs = Number.NEGATIVE_INFINITY;

  /** From here on this host answers others. */
  static async open({ folder, fetch }: EnvsOptions, deps: EnvsDeps): Promise<Envs> {
    const store = await ContentStore.open<EnvHash>({ folder, kind: ENVS }, { nowMs: deps.nowMs });
    return new Envs(store, fetch, deps);
  }

  private constructor(store: ContentStore<EnvHash>, options: ContentFetcherOptions, deps: EnvsDeps) {
    this.#deps = deps;
    this.#store = store;
    const { mesh } = deps;
    const service = {
      name: ENV_SERVICE,
      refusal: (hash: EnvHash, from: OwnerId) => this.#refusal(hash, from),
      holders: (hash: EnvHash) => holdersOf(hash, deps.apps.all()),
    };
    this.#fetcher = new ContentFetcher(options, { mesh, store, service });
    mesh.handle(SAME_SERVICE, (request, from) => this.#answerSame(request, from));
  }

  /** Puts it on this host's disk, under a hash that tells nothing. Undefined: there are no values. Fails when the disk is full. */
  async seal(values: EnvValues): Promise<Result<EnvRef | undefined>> {
    if (Object.keys(values).length === 0) return ok(undefined);
    const { hash, blob } = sealEnv(values);
    const put = await this.#store.put(hash, once(blob));
    return put.code === "stored" ? ok({ hash, host: this.#deps.mesh.self.name }) : fail(put.message);
  }

  /** Ok once it is on this host's disk, from whoever has it. */
  async fetch({ hash, host }: EnvRef, signal: AbortSignal): Promise<Result<null>> {
    const fetched = await this.#fetcher.fetch(hash, signal);
    return fetched.ok ? fetched : fail(`it was submitted at ${host}, and nobody gives it: ${fetched.error}`);
  }

  /** Of what `fetch` brought. What is damaged is removed, so that the next `fetch` brings it anew. */
  async read({ hash }: Pick<EnvRef, "hash">): Promise<Result<EnvValues>> {
    const file = this.#store.fileOf(hash);
    const blob = await readFile(file).catch(() => null);
    if (blob === null) return fail("it is not on this host's disk");
    const opened = openEnv(hash, blob);
    if (!opened.ok) await rm(file, { force: true });
    return opened;
  }

  /**
   * Whether `values` are those of `ref`, of a deploy that runs: a host that holds them says so, and is told of others only what lets it try
   * whether a guess is one. Null: nobody who holds them can be asked.
   */
  async isSame(ref: EnvRef, values: EnvValues, signal: AbortSignal): Promise<boolean | null> {
    const held = await this.read(ref);
    if (held.ok) return isSameValues(held.value, values);
    for (let tries = 0; tries < SAME_TRIES_MAX; tries += 1) {
      for (const member of this.#holders(ref)) {
        const equal = await this.#askSame(member, ref, values, signal);
        if (equal !== null) return equal;
      }
      signal.throwIfAborted();
      await delay(SAME_PAUSE_MS, undefined, { signal });
    }
    return null;
  }

  async removeUnused(used: ReadonlySet<EnvHash>): Promise<number> {
    return (await this.#store.removeUnused(used)).length;
  }

  /** For /metrics. */
  metrics(): readonly string[] {
    return [`grapevine_env_served_total ${this.#served}`, `grapevine_env_refused_total ${this.#refused}`];
  }

  #refusal(hash: EnvHash, from: OwnerId): string | null {
    const name = this.#hostNamed(from);
    const mayHave = name !== null && hostsOf(hash, this.#deps.apps.all()).has(name);
    return this.#judged(mayHave, hash, from) ? null : "refused: no record gives you a VM of that release";
  }

  async *#answerSame(request: Uint8Array, from: OwnerId): AsyncGenerator<Uint8Array> {
    const decoded = decodeRecord(requestShape, request);
    if (!decoded.ok) throw new Error(`${SAME_SERVICE}: ${decoded.error}`);
    const { hash, nonce, mark } = decoded.value;
    const isMeant = this.#hostNamed(from) !== null && isOnItsWay(hash, this.#deps.apps.all());
    const nowMs = performance.now();
    const isSoon = nowMs - this.#comparedAtMs < SAME_PAUSE_MS;
    if (!this.#judged(isMeant && !isSoon, hash, from)) throw new Error("refused");
    this.#comparedAtMs = nowMs;
    const held = await this.read({ hash });
    if (!held.ok) throw new Error("not held here");
    yield encodeRecord({ format: 1, equal: isSameMark(markOf(held.value, nonce), mark) });
  }

  /** Counts it. */
  #judged(isAllowed: boolean, hash: EnvHash, from: OwnerId): boolean {
    if (isAllowed) this.#served += 1;
    else {
      this.#refused += 1;
      this.#deps.logger.debug({ hash, from }, "env refused");
    }
    return isAllowed;
  }

  /** Under which name this key is a host. */
  #hostNamed(owner: OwnerId): MemberView["name"] | null {
    const member = this.#deps.mesh.members().find((one) => one.owner === owner);
    return member?.role === "host" ? member.name : null;
  }

  /** As certified records say, and not whoever answered: what is asked lets the one who is asked try values until they fit. */
  #holders({ hash }: EnvRef): readonly MemberView[] {
    const names = holdersOf(hash, this.#deps.apps.all());
    const hosts = this.#deps.mesh
      .members()
      .filter((one) => one.role === "host" && one.connected && !one.self);
    return names.flatMap((name) => hosts.filter((one) => one.name === name));
  }

  async #askSame(
    { owner, name }: MemberView,
    { hash }: EnvRef,
    values: EnvValues,
    signal: AbortSignal,
  ): Promise<boolean | null> {
    const nonce = new Uint8Array(randomBytes(32));
    const request = encodeRecord({ format: 1, hash, nonce, mark: new Uint8Array(markOf(values, nonce)) });
    const ends = AbortSignal.any([signal, AbortSignal.timeout(SAME_TIMEOUT_MS)]);
    try {
      for await (const chunk of this.#deps.mesh.call(owner, SAME_SERVICE, request, ends)) {
        const answer = decodeRecord(answerShape, chunk);
        return answer.ok ? answer.value.equal : null;
      }
    } catch (error) {
      signal.throwIfAborted();
      this.#deps.logger.debug({ host: name, hash, reason: messageOf(error) }, "env could not be compared");
    }
    return null;
  }
}

function isSameValues(left: EnvValues, right: EnvValues): boolean {
  const nonce = randomBytes(32);
  return isSameMark(markOf(left, nonce), markOf(right, nonce));
}

async function* once(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes;
}
