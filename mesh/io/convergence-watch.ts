// Convergence watch: measures all the time how soon our writes are in force everywhere. It follows whom a write must reach, from
// the first such write on; nobody is asked for each write, and where nothing is written nothing is said.

import { type Audience, Convergence, type ConvergenceView } from "../core/convergence.ts";
import type { OwnerId } from "../core/ids.ts";
import { compareStarts, type Start, type Version } from "../core/version.ts";
import { APPLIED_REPEAT_MS } from "../limits.ts";
import { connectedOwners, type MemberView, type Mesh } from "../mesh.ts";
import { APP_PREFIX } from "../records/app.ts";
import { PROXY_PREFIX, proxyKey } from "../records/members.ts";
import { VM_PREFIX } from "../records/vm.ts";
import { encodeApplied } from "./applied-answers.ts";
import { decodeFollowReport, FOLLOW_TOPIC, FOLLOWED_TOPIC, type FollowReport } from "./follow-answers.ts";

/** What routes: the VMs of this host, and at a voter the records that it commits. */
const MEASURED_PREFIXES: readonly string[] = [VM_PREFIX, APP_PREFIX];

export interface ConvergenceWatchDeps {
  readonly mesh: Pick<Mesh, "self" | "store" | "members" | "tell" | "onTell" | "onChange" | "onMembers">;
  /** Milliseconds on a clock that never goes back. */
  readonly nowMs: () => number;
}

export class ConvergenceWatch {
  readonly #deps: ConvergenceWatchDeps;
  readonly #meter = new Convergence();
  #start: Start | undefined;
  /** Of the cluster as it is; undefined: it changed since the last write. */
  #audience: Audience | undefined;
  /** Who was asked since it was connected. */
  readonly #asked = new Set<OwnerId>();
  /** Whom to ask when what runs now is done. */
  readonly #due = new Set<OwnerId>();
  #timer: NodeJS.Timeout | undefined;
  #isStopped = false;

  constructor(deps: ConvergenceWatchDeps) {
    this.#deps = deps;
    const { mesh } = deps;
    mesh.onTell(FOLLOWED_TOPIC, (bytes, from) => this.#followed(from, decodeFollowReport(bytes)));
    mesh.onMembers(() => this.#membersChanged());
    mesh.onChange(({ key }) => {
      if (key.startsWith(PROXY_PREFIX)) this.#audience = undefined;
    });
  }

  /** We are announced: what was written before goes out only now, to whoever is there by chance, and is not measured. */
  begin(): void {
    const { mesh } = this.#deps;
    this.#start ??= mesh.store.head(mesh.self.owner);
  }

  /** `atMs`: when it was stamped. Call it in the same breath: whom it must reach is frozen here. */
  wrote(key: string, version: Version, atMs: number): void {
    const isMeasured = MEASURED_PREFIXES.some((prefix) => key.startsWith(prefix));
    if (this.#start === undefined || this.#isStopped || !isMeasured) return;
    this.#lookAtStart();
    this.#audience ??= this.#findAudience();
    this.#meter.wrote(version.counter, atMs, this.#audience);
    if (this.#meter.isIdle) return;
    for (const owner of this.#audience.stores) if (!this.#asked.has(owner)) this.#askSoon(owner);
    this.#timer ??= setTimeout(() => this.#tick(), APPLIED_REPEAT_MS);
  }

  view(): ConvergenceView {
    return this.#meter.view();
  }

  stop(): void {
    this.#isStopped = true;
    clearTimeout(this.#timer);
    this.#due.clear();
  }

  /** A registered proxy counts though it is silent, unless it is held dead, or left; of all others those that are connected. */
  #findAudience(): Audience {
    const others = this.#deps.mesh.members().filter((member) => !member.self);
    const proxies = new Set(others.filter((one) => this.#isLiveProxy(one)).map(({ owner }) => owner));
    const stores = others.filter(({ owner, connected }) => connected || proxies.has(owner));
    return { proxies, stores: new Set(stores.map(({ owner }) => owner)) };
  }

  #isLiveProxy({ owner, name, role, liveness }: MemberView): boolean {
    const isRegistered = this.#deps.mesh.store.get(owner, proxyKey(name)) !== undefined;
    return role === "proxy" && isRegistered && liveness.state !== "dead" && liveness.state !== "left";
  }

  #askSoon(owner: OwnerId): void {
    if (this.#due.size === 0) queueMicrotask(() => this.#ask());
    this.#due.add(owner);
  }

  #ask(): void {
    const { mesh } = this.#deps;
    const head = mesh.store.head(mesh.self.owner);
    if (head !== undefined) {
      const message = encodeApplied(head);
      for (const owner of this.#due) if (mesh.tell(owner, FOLLOW_TOPIC, message)) this.#asked.add(owner);
    }
    this.#due.clear();
  }

  #followed(from: OwnerId, report: FollowReport | undefined): void {
    this.#lookAtStart();
    if (report === undefined || this.#start === undefined || compareStarts(report, this.#start) !== 0) return;
    const { mesh, nowMs } = this.#deps;
    const [now, own] = [nowMs(), mesh.store.head(mesh.self.owner)?.counter ?? 0];
    for (const [counter, storedAgoMs, inForceAgoMs] of report.steps) {
      const atMs = { stores: now - storedAgoMs, proxies: now - inForceAgoMs };
      // Who claims what we did not write must not pass for having what we write next.
      this.#meter.reached(from, { counter: Math.min(counter, own), atMs });
    }
  }

  /** After a raised incarnation all was written again: nobody will say any more that it has what was before. */
  #lookAtStart(): void {
    const { mesh } = this.#deps;
    const own = mesh.store.head(mesh.self.owner);
    if (own === undefined || this.#start === undefined || compareStarts(own, this.#start) === 0) return;
    this.#start = own;
    this.#meter.end("new-start");
  }

  #membersChanged(): void {
    this.#audience = undefined;
    if (this.#asked.size === 0 && this.#meter.isIdle) return;
    const connected = connectedOwners(this.#deps.mesh.members());
    for (const owner of this.#asked) if (!connected.has(owner)) this.#asked.delete(owner);
    this.#meter.forget((owner) => connected.has(owner));
    for (const owner of this.#meter.awaited(this.#deps.nowMs()))
      if (connected.has(owner) && !this.#asked.has(owner)) this.#askSoon(owner);
  }

  /** Only a full queue, or a member that stopped, loses a report: asked again it says where it is. */
  #tick(): void {
    this.#timer = undefined;
    this.#lookAtStart();
    const now = this.#deps.nowMs();
    this.#meter.expire(now);
    if (this.#meter.isIdle) return;
    for (const owner of this.#meter.awaited(now - APPLIED_REPEAT_MS)) this.#askSoon(owner);
    this.#timer = setTimeout(() => this.#tick(), APPLIED_REPEAT_MS);
  }
}
