// ReplicatedRegister: the desired records of the apps, at a voter. What a majority committed is taken by ourselves as by all
// others, with its certificate, and handed on in our own state.

import type { AppName, MemberName } from "../../core/ids.ts";
import { REGISTER_READ_MS, REGISTER_SWAP_MS } from "../../limits.ts";
import { type AppRecord, appKey, type CommittedApp, encodeAppRecord } from "../../records/app.ts";
import type { CommittedValue, Outcome } from "../../register/proposer-face.ts";
import type { Register, SwapResult } from "../../register/register.ts";
import { encodeCommitted } from "../../register/register-codec.ts";
import { voterOf } from "../../register/voter-list.ts";
import type { CertifiedApps } from "./certified-apps.ts";
import type { RegisterClient } from "./register-client.ts";
import type { VoterDirectory } from "./voter-directory.ts";

/** No majority of the voters answered. `missing`: those that did not. */
export class NoMajorityError extends Error {
  override readonly name = "NoMajorityError";
  readonly missing: readonly MemberName[];
  constructor(missing: readonly MemberName[]) {
    super(`no majority of the voters answers: ${missing.join(", ")} missing`);
    this.missing = missing;
  }
}

export interface ReplicatedRegisterDeps {
  readonly client: RegisterClient;
  readonly apps: CertifiedApps;
  readonly directory: VoterDirectory;
  /** Something was committed, or found committed, that nobody had told us. */
  readonly onNews: (app: AppName, encoded: Uint8Array) => void;
}

export class ReplicatedRegister implements Register {
  readonly #deps: ReplicatedRegisterDeps;

  constructor(deps: ReplicatedRegisterDeps) {
    this.#deps = deps;
  }

  async read(app: AppName): Promise<CommittedApp | null> {
    const { client } = this.#deps;
    const signal = AbortSignal.timeout(REGISTER_READ_MS);
    const outcome = await client.operate(appKey(app), { kind: "read" }, signal);
    if (outcome.kind === "read") return outcome.current === null ? null : this.#take(app, outcome.current);
    throw this.#failure(outcome);
  }

  /** As far as this member knows: who swaps is told if that was not all. */
  async list(): Promise<readonly CommittedApp[]> {
    return this.#deps.apps.all();
  }

  /** Rejects for a record that the voters refuse: a bug of the caller. */
  async swap(app: AppName, expectedEpoch: number, record: AppRecord): Promise<SwapResult> {
    const { client } = this.#deps;
    const operation = { kind: "swap", expectedEpoch, record: encodeAppRecord(record) } as const;
    const signal = AbortSignal.timeout(REGISTER_SWAP_MS);
    const outcome = await client.operate(appKey(app), operation, signal);
    switch (outcome.kind) {
      case "committed":
        return { code: "committed", committed: this.#take(app, outcome) };
      case "conflict":
        return {
          code: "conflict",
          current: outcome.current === null ? null : this.#take(app, outcome.current),
        };
      case "unknown":
        return { code: "unknown" };
      case "unavailable":
        return { code: "unavailable", missing: this.#namesOf(outcome.missing) };
      case "read":
      case "refused":
        throw this.#failure(outcome);
    }
  }

  #take(app: AppName, committed: CommittedValue): CommittedApp {
    const { apps, onNews } = this.#deps;
    const encoded = encodeCommitted(committed);
    const before = apps.get(app)?.epoch ?? 0;
    const taken = apps.take(encoded);
    // Certified by voters that know the record, and unreadable to us: a release in between.
    if (!taken.ok && taken.error !== "stale")
      throw new Error(`register: the record of ${app} at epoch ${committed.value.epoch}: ${taken.error}`);
    if (before < committed.value.epoch) onNews(app, encoded);
    const standing = apps.get(app);
    if (standing === undefined) throw new Error("bug: a record that was taken is not held");
    return standing;
  }

  #failure(outcome: Outcome): Error {
    if (outcome.kind === "unavailable") return new NoMajorityError(this.#namesOf(outcome.missing));
    const reason = outcome.kind === "refused" ? outcome.reason : `it ended ${outcome.kind}`;
    return new Error(`register: ${reason}`);
  }

  #namesOf(ids: Extract<Outcome, { kind: "unavailable" }>["missing"]): readonly MemberName[] {
    const { list } = this.#deps.directory;
    return ids.flatMap((id) => (list === undefined ? [] : (voterOf(list, id)?.name ?? [])));
  }
}
