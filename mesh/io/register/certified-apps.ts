// CertifiedApps: the desired records in force here, as far as this member knows. A record counts if a majority of the voters
// signed it, whoever's entry it came in; of an app the highest epoch counts. What cannot be checked yet waits for its voter list.

import { type AppName, compareText, type OwnerId } from "../../core/ids.ts";
import { compareVersions, type Version } from "../../core/version.ts";
import type { Entry } from "../../mesh.ts";
import { APP_PREFIX, appKey, appOfKey, type CommittedApp, decodeAppRecord } from "../../records/app.ts";
import type { CertificateFault } from "../../register/certificate.ts";
import type { CommittedValue } from "../../register/proposer-face.ts";
import { recordFault } from "../../register/record-fault.ts";
import { decodeCommitted } from "../../register/register-codec.ts";
import { isSameValue } from "../../register/value.ts";
import { fail, ok, type Result } from "../../result.ts";
import type { RegisterContext } from "./register-context.ts";
import type { VoterDirectory } from "./voter-directory.ts";

/** Why an `app/*` entry was not taken. `stale`: a newer one is held. */
export type RefusedRecord = CertificateFault | "stale" | "unreadable" | "misnamed";

export interface CertifiedApp extends CommittedApp {
  readonly committed: CommittedValue;
}

export interface CertifiedAppsDeps extends RegisterContext {
  readonly directory: VoterDirectory;
}

export class CertifiedApps {
  readonly #deps: CertifiedAppsDeps;
  readonly #apps = new Map<AppName, CertifiedApp>();
  readonly #listeners = new Set<(app: CertifiedApp) => void>();
  /** By owner and key: what was judged once is not judged again. Bounded by the mesh's store. */
  readonly #judged = new Map<string, Version>();
  /** Certified, but not by a release whose records we can read: what they want is not known, which is not that they want nothing. */
  readonly #unreadable = new Set<string>();
  /** Refused for their voter list, and nothing else is held: what they want is not known either. */
  readonly #unjudged = new Set<string>();

  constructor(deps: CertifiedAppsDeps) {
    this.#deps = deps;
  }

  /** Takes what the store has, and what comes. Returns the way to end that. */
  start(): () => void {
    const { mesh, directory } = this.#deps;
    const ends = [
      mesh.onChange((change) => this.#takeEntry(change)),
      // Those of a list that was not known, or not the newest.
      directory.onAdopted(() => this.#takeAll()),
    ];
    this.#takeAll();
    return () => {
      for (const end of ends) end();
    };
  }

  /** Told of each record that came into force, in the breath in which it did. */
  onApp(listener: (app: CertifiedApp) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  get(app: AppName): CertifiedApp | undefined {
    return this.#apps.get(app);
  }

  /** By name, deleted ones included. */
  all(): readonly CertifiedApp[] {
    return [...this.#apps.values()].sort((left, right) => compareText(left.record.app, right.record.app));
  }

  /** There are records that we cannot read, or not judge: what else they want is not known. */
  get isAnyUnknown(): boolean {
    return this.#unreadable.size + this.#unjudged.size > 0;
  }

  /** It has a record, but none that we can read. */
  isUnknown(app: AppName): boolean {
    const key = appKey(app);
    return (this.#unreadable.has(key) || this.#unjudged.has(key)) && !this.#apps.has(app);
  }

  /** A record as it came, from whomever. Ok: it is in force, or a newer one is. */
  take(key: string, encoded: Uint8Array): Result<CertifiedApp, RefusedRecord> {
    const decoded = decodeCommitted(encoded);
    return decoded.ok ? this.takeCommitted(key, decoded.value) : this.#refused("unreadable");
  }

  /** The same, read already. */
  takeCommitted(key: string, committed: CommittedValue): Result<CertifiedApp, RefusedRecord> {
    const app = appOfKey(key);
    const held = app === null ? undefined : this.#apps.get(app);
    if (held !== undefined && !isNewer(rankOf(committed), rankOf(held.committed))) {
      return isSameValue(committed.value, held.committed.value) ? ok(held) : this.#refused("stale");
    }
    const fault = this.#faultOf(key, committed);
    if (fault !== null) {
      if (held === undefined && (fault === "former-list" || fault === "unknown-list"))
        this.#cannotJudge(key, fault);
      return this.#refused(fault);
    }
    const record = decodeAppRecord(committed.value.record);
    if (!record.ok) this.#cannotRead(key, record.error);
    if (!record.ok || appKey(record.value.app) !== key) {
      return this.#refused(record.ok ? "misnamed" : "unreadable");
    }
    const { epoch } = committed.value;
    const taken = { epoch, record: record.value, committed };
    this.#apps.set(record.value.app, taken);
    this.#unreadable.delete(key);
    this.#unjudged.delete(key);
    // The same epoch under a newer voter list changes nothing but its proof.
    if (held?.epoch !== epoch) for (const listener of this.#listeners) listener(taken);
    return ok(taken);
  }

  /** The same; what `peer` holds may be of a voter list that is not known here yet, but there. Rejects only on abort. */
  async takeFrom(
    peer: OwnerId,
    { key, value }: { readonly key: string; readonly value: Uint8Array },
    signal: AbortSignal,
  ): Promise<Result<CertifiedApp, RefusedRecord>> {
    const decoded = decodeCommitted(value);
    if (!decoded.ok) return this.#refused("unreadable");
    return this.takeCommittedFrom(peer, { key, committed: decoded.value }, signal);
  }

  /** The same, read already. */
  async takeCommittedFrom(
    peer: OwnerId,
    { key, committed }: { readonly key: string; readonly committed: CommittedValue },
    signal: AbortSignal,
  ): Promise<Result<CertifiedApp, RefusedRecord>> {
    const taken = this.takeCommitted(key, committed);
    if (taken.ok || taken.error !== "unknown-list") return taken;
    await this.#deps.directory.fetched(peer, signal).catch(() => undefined);
    signal.throwIfAborted();
    return this.takeCommitted(key, committed);
  }

  /** Whether a majority of the voters of now signed it, however old it is. Changes nothing. */
  isCertified(key: string, encoded: Uint8Array): boolean {
    const decoded = decodeCommitted(encoded);
    return decoded.ok && this.#faultOf(key, decoded.value) === null;
  }

  /** The same, of who hands on what it holds: the record says whose it is. */
  takeUnnamed(encoded: Uint8Array): void {
    const decoded = decodeCommitted(encoded);
    const record = decoded.ok ? decodeAppRecord(decoded.value.value.record) : decoded;
    if (decoded.ok && record.ok) this.takeCommitted(appKey(record.value.app), decoded.value);
    else this.#refused("unreadable");
  }

  #takeAll(): void {
    for (const entry of this.#deps.mesh.store.list(APP_PREFIX)) this.#takeEntry(entry);
  }

  #takeEntry({ owner, key, value, version }: Entry): void {
    if (!key.startsWith(APP_PREFIX)) return;
    const slot = `${owner} ${key}`;
    if (value === null) {
      this.#judged.delete(slot);
      if (!this.#deps.mesh.store.list(key).some((entry) => entry.key === key)) this.#unjudged.delete(key);
      return;
    }
    const judged = this.#judged.get(slot);
    if (judged !== undefined && compareVersions(judged, version) === 0) return;
    const taken = this.take(key, value);
    if (!taken.ok && taken.error === "unknown-list") this.#deps.directory.fetch(owner);
    else this.#judged.set(slot, version);
  }

  #faultOf(register: string, committed: CommittedValue): CertificateFault | null {
    const { cluster, mesh, directory } = this.#deps;
    return recordFault({ cluster, register, committed }, directory.chain, mesh.crypto);
  }

  #cannotJudge(key: string, fault: CertificateFault): void {
    if (this.#unjudged.has(key) || appOfKey(key) === null) return;
    this.#unjudged.add(key);
    if (fault === "former-list")
      this.#deps.logger.warn({ key }, "record of a former voter list: what it wants is left as it is");
  }

  #cannotRead(key: string, reason: string): void {
    if (this.#unreadable.has(key)) return;
    this.#unreadable.add(key);
    this.#deps.logger.error({ key, reason }, "record cannot be read: what it wants is left as it is");
  }

  #refused(why: RefusedRecord): Result<never, RefusedRecord> {
    this.#deps.count(`refused-record-${why}`);
    return fail(why);
  }
}

/** By epoch; of one epoch by the voter list under which it was committed last. */
export function isNewer(left: Rank, right: Rank): boolean {
  return left.epoch === right.epoch ? left.list > right.list : left.epoch > right.epoch;
}

export interface Rank {
  readonly epoch: number;
  /** Number of the voter list by which it is proven. */
  readonly list: number;
}

export function rankOf({ value, certificate }: CommittedValue): Rank {
  return { epoch: value.epoch, list: certificate.list };
}
