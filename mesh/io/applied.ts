// Applied: who has a write of ours in force. The set of members that must is frozen at the write and never shrinks: silence
// is not consent, and who cannot be heard of is named. Each is asked at once, again when it is back, and once a second.

import type { OwnerId } from "../core/ids.ts";
import { compareStarts, describeVersion, type Version } from "../core/version.ts";
import { APPLIED_REPEAT_MS, APPLIED_WAITS_MAX } from "../limits.ts";
import {
  type AppliedAck,
  type AppliedMember,
  type AppliedReport,
  connectedOwners,
  type MemberView,
  type Mesh,
} from "../mesh.ts";
import { proxyKey } from "../records/members.ts";
import {
  APPLIED_ASK_TOPIC,
  APPLIED_TOPIC,
  AppliedAnswers,
  decodeApplied,
  encodeApplied,
} from "./applied-answers.ts";
import { ConvergenceWatch } from "./convergence-watch.ts";

const STOPPED = "this member stopped";

export interface AppliedDeps {
  readonly mesh: Pick<Mesh, "self" | "store" | "members" | "tell" | "onTell" | "onChange" | "onMembers">;
  /** Milliseconds on a clock that never goes back. */
  readonly nowMs: () => number;
  readonly random: () => number;
  readonly count: (
    counter: "applied-acks" | "applied-missing" | "applied-answers" | "follow-reports",
    by: number,
  ) => void;
}

/** A member that did not answer yet. */
interface Awaited extends AppliedMember {
  isConnected: boolean;
  wasLost: boolean;
  /** What it told last, if that was not enough. */
  head: Version | undefined;
}

interface Wait {
  readonly version: Version;
  readonly sinceMs: number;
  readonly acks: AppliedAck[];
  readonly awaited: Map<OwnerId, Awaited>;
  /** Why nobody is waited for any more; undefined: all have answered, or its signal fired. */
  readonly end: (refusal?: string) => void;
}

export class Applied {
  /** The other side: what we tell others of theirs. */
  readonly answers: AppliedAnswers;
  /** How soon all our writes are in force, whether somebody waits for them or not. */
  readonly convergence: ConvergenceWatch;
  readonly #deps: AppliedDeps;
  readonly #waits = new Set<Wait>();
  /** Whom to ask when what runs now is done: many writes are one question. */
  readonly #due = new Set<OwnerId>();
  #timer: NodeJS.Timeout | undefined;
  #isStopped = false;

  constructor(deps: AppliedDeps) {
    this.#deps = deps;
    this.answers = new AppliedAnswers(deps);
    this.convergence = new ConvergenceWatch(deps);
    deps.mesh.onTell(APPLIED_TOPIC, (bytes, from) => this.#answered(from, decodeApplied(bytes)));
    deps.mesh.onMembers(() => this.#membersChanged());
  }

  /** See `Mesh.whenApplied`. Runs to its first await in the caller's breath: that is when set and clock are frozen. */
  async whenApplied(version: Version, signal: AbortSignal): Promise<AppliedReport> {
    const { promise, resolve: end } = Promise.withResolvers<string | undefined>();
    const sinceMs = this.#deps.nowMs();
    const wait: Wait = { version, sinceMs, acks: [], awaited: this.#ackSet(), end };
    let refusal = this.#refusal();
    if (wait.awaited.size > 0 && !signal.aborted && refusal === undefined) {
      const timedOut = () => end(undefined);
      this.#waits.add(wait);
      this.#askSoon(wait.awaited.keys());
      this.#repeatLater();
      signal.addEventListener("abort", timedOut, { once: true });
      refusal = await promise;
      signal.removeEventListener("abort", timedOut);
      this.#waits.delete(wait);
      if (this.#waits.size === 0) this.#clearTimer();
    }
    return this.#report(wait, refusal);
  }

  #refusal(): string | undefined {
    if (this.#isStopped) return STOPPED;
    return this.#waits.size >= APPLIED_WAITS_MAX ? `over ${APPLIED_WAITS_MAX} writes wait here` : undefined;
  }

  /** Ends all waits. */
  stop(): void {
    this.#isStopped = true;
    this.answers.stop();
    this.convergence.stop();
    this.#clearTimer();
    this.#due.clear();
    this.endWaits();
  }

  /** Those that wait now, as a stop ends them; the last word of a member can still be waited for. What others follow is told. */
  endWaits(): void {
    this.answers.flush();
    for (const wait of this.#waits) wait.end(STOPPED);
  }

  #ackSet(): Map<OwnerId, Awaited> {
    const { mesh } = this.#deps;
    const isAwaited = (member: MemberView) =>
      !member.self && (member.connected || this.#isRegistered(member));
    const members = mesh.members().filter(isAwaited);
    return new Map(
      members.map(({ owner, name, role, connected }) => [
        owner,
        { owner, name, role, isConnected: connected, wasLost: false, head: undefined },
      ]),
    );
  }

  #isRegistered({ owner, name, role }: AppliedMember): boolean {
    return role === "proxy" && this.#deps.mesh.store.get(owner, proxyKey(name)) !== undefined;
  }

  #askSoon(owners: Iterable<OwnerId>): void {
    const isWaiting = this.#due.size > 0;
    for (const owner of owners) this.#due.add(owner);
    if (!isWaiting && this.#due.size > 0) queueMicrotask(() => this.#ask());
  }

  /** Up to our head, not to the version: after a new start of ours that is what they will have. */
  #ask(): void {
    const { mesh } = this.#deps;
    const head = mesh.store.head(mesh.self.owner);
    if (head !== undefined) {
      const message = encodeApplied(head);
      for (const owner of this.#due) mesh.tell(owner, APPLIED_ASK_TOPIC, message);
    }
    this.#due.clear();
  }

  #answered(from: OwnerId, head: Version | undefined): void {
    if (head === undefined) return;
    for (const wait of this.#waits) {
      const awaited = wait.awaited.get(from);
      if (awaited === undefined) continue;
      if (this.#contains(head, wait.version)) this.#acked(wait, awaited);
      else awaited.head = head;
    }
  }

  #acked(wait: Wait, { owner, name, role }: Awaited): void {
    wait.awaited.delete(owner);
    wait.acks.push({ owner, name, role, ms: this.#deps.nowMs() - wait.sinceMs });
    if (wait.awaited.size === 0) wait.end();
  }

  /**
   * A higher version is not enough: another process with our key, or our own past, may have written that. A start of ours
   * that followed the write's has all that was live in it, and is in force elsewhere only whole.
   */
  #contains(head: Version, version: Version): boolean {
    if (compareStarts(head, version) === 0) return head.counter >= version.counter;
    const { mesh } = this.#deps;
    const own = mesh.store.head(mesh.self.owner);
    return own !== undefined && compareStarts(head, own) === 0 && compareStarts(own, version) > 0;
  }

  #membersChanged(): void {
    if (this.#waits.size === 0) return;
    const connected = connectedOwners(this.#deps.mesh.members());
    for (const awaited of this.#allAwaited()) {
      const isConnected = connected.has(awaited.owner);
      if (isConnected && !awaited.isConnected) this.#askSoon([awaited.owner]);
      if (!isConnected && awaited.isConnected) awaited.wasLost = true;
      awaited.isConnected = isConnected;
    }
  }

  *#allAwaited(): Generator<Awaited> {
    for (const wait of this.#waits) yield* wait.awaited.values();
  }

  #repeatLater(): void {
    this.#timer ??= setTimeout(() => {
      this.#timer = undefined;
      for (const { owner } of this.#allAwaited()) this.#askSoon([owner]);
      this.#repeatLater();
    }, APPLIED_REPEAT_MS);
  }

  #clearTimer(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }

  #report({ version, acks, awaited }: Wait, refusal: string | undefined): AppliedReport {
    const missing = [...awaited.values()].map((one) => {
      const { owner, name, role } = one;
      return { owner, name, role, why: refusal ?? this.#describeMissing(one, version) };
    });
    this.#deps.count("applied-acks", acks.length);
    this.#deps.count("applied-missing", missing.length);
    return { acks, missing };
  }

  #describeMissing(awaited: Awaited, version: Version): string {
    const { isConnected, wasLost, head, role } = awaited;
    if (!isConnected) {
      if (role === "proxy" && wasLost && !this.#isRegistered(awaited)) return "it left the cluster";
      return wasLost ? "its connection was lost" : "not connected";
    }
    const has =
      head === undefined ? "" : `: has ${describeVersion(head)}, not yet ${describeVersion(version)}`;
    return wasLost ? `was lost and is back, no answer since${has}` : `has not answered${has}`;
  }
}
