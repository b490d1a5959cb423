// ReplicatedRegister: the desired records of the apps, and the names that they claimed, at a voter. What a majority committed is
// taken by ourselves as by all others, with its certificate, and published.

import type { AppName } from "../../core/ids.ts";
import { REGISTER_READ_MS, REGISTER_SWAP_MS, REGISTERS_AT_ONCE } from "../../limits.ts";
import { type AppRecord, appKey, appOfKey, type CommittedApp, encodeAppRecord } from "../../records/app.ts";
import {
  type Claim,
  type ClaimedName,
  type ClaimFault,
  claim,
  decodeNames,
  encodeNames,
  NAMES_REGISTER,
  type NamesRecord,
  NO_NAMES,
  release,
} from "../../records/names.ts";
import type { RegisterName } from "../../register/certificate.ts";
import type { CommittedValue, Outcome } from "../../register/proposer-face.ts";
import type { ClaimResult, Register, SwapResult } from "../../register/register.ts";
import { messageOf } from "../../result.ts";
import { NoMajorityError, registersAtMajority } from "./ask-registers.ts";
import { forEachAtOnce } from "./at-once.ts";
import type { CertifiedApps } from "./certified-apps.ts";
import type { RegisterClient } from "./register-client.ts";
import type { RegisterContext } from "./register-context.ts";
import type { VoterDirectory } from "./voter-directory.ts";

/** Swaps of the names that may lose against those of other apps before a claim is given up. */
const CLAIM_TRIES_MAX = 10;

export interface ReplicatedRegisterDeps extends RegisterContext {
  readonly client: RegisterClient;
  readonly apps: CertifiedApps;
  readonly directory: VoterDirectory;
  /** Committed by us, or found committed, and not told by anybody yet. */
  readonly publish: (app: AppName) => void;
}

export class ReplicatedRegister implements Register {
  readonly #deps: ReplicatedRegisterDeps;
  /** The reading of all that runs, and the one that begins after it for those who came meanwhile. */
  #reading: Promise<void> | undefined;
  #next: Promise<void> | undefined;

  constructor(deps: ReplicatedRegisterDeps) {
    this.#deps = deps;
  }

  known(): readonly CommittedApp[] {
    return this.#deps.apps.all();
  }

  onCommitted(listener: (committed: CommittedApp) => void): () => void {
    return this.#deps.apps.onApp(listener);
  }

  async read(app: AppName): Promise<CommittedApp | null> {
    const current = await this.#read(appKey(app));
    return current === null ? null : this.take(app, current);
  }

  /** Readers who come while one reading runs share the next: its reads begin after they asked. */
  readAll(): Promise<void> {
    this.#next ??= (this.#reading ?? Promise.resolve())
      .catch(() => undefined)
      .then(() => {
        this.#reading = this.#next;
        this.#next = undefined;
        return this.#readAll();
      });
    return this.#next;
  }

  /** Rejects for a record that the voters refuse: a bug of the caller. */
  async swap(app: AppName, expectedEpoch: number, record: AppRecord): Promise<SwapResult> {
    const operation = { kind: "swap", expectedEpoch, record: encodeAppRecord(record) } as const;
    const signal = AbortSignal.timeout(REGISTER_SWAP_MS);
    const outcome = await this.#deps.client.operate(appKey(app), operation, signal);
    switch (outcome.kind) {
      case "committed":
        return { code: "committed", committed: this.take(app, outcome) };
      case "conflict": {
        const { current } = outcome;
        return { code: "conflict", current: current === null ? null : this.take(app, current) };
      }
      case "unknown":
        return { code: "unknown" };
      case "unavailable":
        return { code: "unavailable", missing: this.#deps.directory.namesOf(outcome.missing) };
      case "read":
      case "refused":
        throw this.#failure(outcome);
    }
  }

  async claimNames(wanted: Claim, names: readonly ClaimedName[]): Promise<ClaimResult> {
    if (names.length === 0) return { code: "claimed" };
    const faults: ClaimFault[] = [];
    try {
      const stands = await this.#changeNames((record) => {
        const claimed = claim(record, wanted, names);
        if (!claimed.ok) faults.push(claimed.error);
        return claimed.ok ? claimed.value : record;
      });
      if (!stands) return { code: "unavailable", reason: "other apps claim names all the time: try again" };
      return faults[0] ?? { code: "claimed" };
    } catch (error) {
      return { code: "unavailable", reason: messageOf(error) };
    }
  }

  /** Of many apps at once: who comes later in the list does not get what another has. Returns what was not claimed. */
  async claimAll(
    wanted: readonly { readonly claim: Claim; readonly names: readonly ClaimedName[] }[],
  ): Promise<readonly ClaimFault[]> {
    let faults: ClaimFault[] = [];
    const stands = await this.#changeNames((record) => {
      faults = [];
      let claimed = record;
      for (const one of wanted) {
        for (const name of one.names) {
          const next = claim(claimed, one.claim, [name]);
          if (next.ok) claimed = next.value;
          else faults.push(next.error);
        }
      }
      return claimed;
    });
    if (!stands) throw new Error("register: other apps claim names all the time");
    return faults;
  }

  async releaseNames(held: Claim, kept: readonly ClaimedName[]): Promise<void> {
    await this.#changeNames((record) => release(record, held, kept));
  }

  /** What was found committed: in force here and published, unless somebody told us of it, or of a newer one, before. */
  take(app: AppName, committed: CommittedValue): CommittedApp {
    const { apps, publish } = this.#deps;
    const before = apps.get(app)?.committed;
    const taken = apps.takeCommitted(appKey(app), committed);
    // Certified by voters that know the record, and unreadable to us: a release in between.
    if (!taken.ok && taken.error !== "stale")
      throw new Error(`register: the record of ${app} at epoch ${committed.value.epoch}: ${taken.error}`);
    const standing = apps.get(app);
    if (standing === undefined) throw new Error("bug: a record that was taken is not held");
    if (standing.committed !== before) publish(app);
    return standing;
  }

  async #readAll(): Promise<void> {
    const { directory } = this.#deps;
    const { list } = directory;
    if (list === undefined) throw new Error("this cluster has no voters yet");
    // What its voters have not been given yet looks like what never was.
    if (directory.isRestoring) throw new Error("the registers are being restored");
    const names = await registersAtMajority(this.#deps, list, AbortSignal.timeout(REGISTER_READ_MS));
    const apps = [...names].flatMap((name) => appOfKey(name) ?? []);
    await forEachAtOnce(apps, REGISTERS_AT_ONCE, async (app) => {
      await this.read(app);
    });
  }

  /** Once what `change` makes of the names stands; the same object: nothing is to be changed. False: others were first, each time. */
  async #changeNames(change: (record: NamesRecord) => NamesRecord): Promise<boolean> {
    for (let tries = 0; tries < CLAIM_TRIES_MAX; tries += 1) {
      const { record, epoch } = await this.#readNames();
      const changed = change(record);
      if (changed === record || (await this.#swapNames(epoch, changed))) return true;
    }
    return false;
  }

  async #readNames(): Promise<{ readonly record: NamesRecord; readonly epoch: number }> {
    const current = await this.#read(NAMES_REGISTER);
    if (current === null) return { record: NO_NAMES, epoch: 0 };
    const record = decodeNames(current.value.record);
    if (!record.ok) throw new Error(`register: the names cannot be read: ${record.error}`);
    return { record: record.value, epoch: current.value.epoch };
  }

  /** False: somebody else was first. */
  async #swapNames(expectedEpoch: number, record: NamesRecord): Promise<boolean> {
    const operation = { kind: "swap", expectedEpoch, record: encodeNames(record) } as const;
    const signal = AbortSignal.timeout(REGISTER_SWAP_MS);
    const outcome = await this.#deps.client.operate(NAMES_REGISTER, operation, signal);
    if (outcome.kind === "committed") return true;
    // Of unknown outcome: what stands is read before the next.
    if (outcome.kind === "conflict" || outcome.kind === "unknown") return false;
    throw this.#failure(outcome);
  }

  async #read(register: RegisterName): Promise<CommittedValue | null> {
    const signal = AbortSignal.timeout(REGISTER_READ_MS);
    const outcome = await this.#deps.client.operate(register, { kind: "read" }, signal);
    if (outcome.kind === "read") return outcome.current;
    throw this.#failure(outcome);
  }

  #failure(outcome: Outcome): Error {
    const { directory } = this.#deps;
    if (outcome.kind === "unavailable") return new NoMajorityError(directory.namesOf(outcome.missing));
    const reason = outcome.kind === "refused" ? outcome.reason : `it ended ${outcome.kind}`;
    return new Error(`register: ${reason}`);
  }
}
