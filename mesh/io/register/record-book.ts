// RecordBook: the certified records of apps, for a process that is no member: a gate is handed them by its agent, and by proxies
// that have newer ones. It believes neither: a record counts if a majority of the voters signed it, by the lists that it was shown.

import type { AppName } from "../../core/ids.ts";
import { appKey, appOfKey, type CommittedApp, decodeAppRecord } from "../../records/app.ts";
import type { RegisterCrypto } from "../../register/certificate.ts";
import type { CommittedValue } from "../../register/proposer-face.ts";
import { recordFault } from "../../register/record-fault.ts";
import { decodeCommitted } from "../../register/register-codec.ts";
import { decodeLink, encodeLink, VoterChain } from "../../register/voter-chain.ts";
import { fail, ok, type Result } from "../../result.ts";
import { isNewer, type RefusedRecord, rankOf } from "./certified-apps.ts";

export interface BookedApp extends CommittedApp {
  /** Number of the voter list by which it is proven. */
  readonly list: number;
  /** As it came: `encodeCommitted`. */
  readonly encoded: Uint8Array;
}

export class RecordBook {
  readonly #cluster: string;
  readonly #crypto: Pick<RegisterCrypto, "hash" | "verify">;
  readonly #chain: VoterChain;
  readonly #apps = new Map<AppName, BookedApp>();

  constructor(cluster: string, crypto: Pick<RegisterCrypto, "hash" | "verify">) {
    this.#cluster = cluster;
    this.#crypto = crypto;
    this.#chain = new VoterChain(cluster, crypto);
  }

  /** What proves the voter list in force, in the order in which it is learned. */
  get links(): readonly Uint8Array[] {
    return this.#chain.links.map(encodeLink);
  }

  get(app: AppName): BookedApp | undefined {
    return this.#apps.get(app);
  }

  /** True: a list came into force by it. */
  learn(encoded: Uint8Array): boolean {
    const link = decodeLink(encoded);
    return link.ok && this.#chain.learn(link.value).kind === "adopted";
  }

  /** A record of our own disk, which was checked when it came: the lists may have moved on since. */
  restore(key: string, encoded: Uint8Array): Result<BookedApp, RefusedRecord> {
    const decoded = decodeCommitted(encoded);
    return decoded.ok ? this.#book(key, encoded, decoded.value) : fail("unreadable");
  }

  /** Ok: it is in force now, and was not before; or the same epoch is proven by a newer list. */
  take(key: string, encoded: Uint8Array): Result<BookedApp, RefusedRecord> {
    const decoded = decodeCommitted(encoded);
    if (!decoded.ok) return fail("unreadable");
    const app = appOfKey(key);
    const held = app === null ? undefined : this.#apps.get(app);
    if (held !== undefined && !isNewer(rankOf(decoded.value), held)) return fail("stale");
    const claim = { cluster: this.#cluster, register: key, committed: decoded.value };
    const fault = recordFault(claim, this.#chain, this.#crypto);
    return fault === null ? this.#book(key, encoded, decoded.value) : fail(fault);
  }

  #book(key: string, encoded: Uint8Array, committed: CommittedValue): Result<BookedApp, RefusedRecord> {
    const record = decodeAppRecord(committed.value.record);
    if (!record.ok) return fail("unreadable");
    if (appKey(record.value.app) !== key) return fail("misnamed");
    // A copy: what came may be a part of a larger buffer.
    const booked = {
      ...rankOf(committed),
      record: record.value,
      encoded: new Uint8Array(encoded),
    };
    this.#apps.set(record.value.app, booked);
    return ok(booked);
  }
}
