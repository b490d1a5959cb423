// Arms: proxies of a gate's own host that send requests to its VMs themselves, by rights that the gate granted. What an arm was granted
// it may use until it has said that it goes by something newer, or its process is gone: no silence and no time takes a right away.

import type { AppName, MemberName, VmName } from "../../mesh/index.ts";

/** One life of a proxy's process, as long as that runs. */
export type ArmId = string & { readonly brand: "arm" };

export type InFlight = readonly { readonly vm: VmName; readonly requests: number }[];

/**
 * - `former`: its process was there when this gate started: what an earlier life of the gate granted it is not known.
 * - `linked`: it is told what it may do.
 * - `lost`: its link ended, and its process is there: it may not know yet.
 */
type Standing = "former" | "linked" | "lost";

/** Of an app. What was `sent` first was no less than anything it had before: nothing. */
interface Grant {
  sent: number;
  /** The newest epoch that it goes by for sure; what is older it uses no more. */
  answered: number;
}

interface Arm {
  standing: Standing;
  readonly proxy: MemberName;
  readonly grants: Map<AppName, Grant>;
  /** To VMs that its newest grant does not name, as it said last. */
  readonly inFlight: Map<AppName, InFlight>;
}

export class Arms {
  readonly #arms = new Map<ArmId, Arm>();

  /** Its process was there before this gate. */
  found(id: ArmId, proxy: MemberName): void {
    if (!this.#arms.has(id))
      this.#arms.set(id, { standing: "former", proxy, grants: new Map(), inFlight: new Map() });
  }

  /** It has a link, and uses no right of before: what it says is in flight is left over. */
  attached(
    id: ArmId,
    proxy: MemberName,
    inFlight: readonly { readonly app: AppName; readonly vm: VmName; readonly requests: number }[],
  ): void {
    const byApp = Map.groupBy(inFlight, ({ app }) => app);
    this.#arms.set(id, { standing: "linked", proxy, grants: new Map(), inFlight: byApp });
  }

  /** It is told now what it may do by this record. */
  granted(id: ArmId, app: AppName, epoch: number): void {
    const grants = this.#arms.get(id)?.grants;
    const grant = grants?.get(app);
    if (grant === undefined) grants?.set(app, { sent: epoch, answered: epoch });
    else grant.sent = epoch;
  }

  /** It goes by the record of that epoch. */
  answered(
    id: ArmId,
    app: AppName,
    { epoch, inFlight }: { readonly epoch: number; readonly inFlight: InFlight },
  ): void {
    const arm = this.#arms.get(id);
    const grant = arm?.grants.get(app);
    // It cannot go by what it was not told.
    if (arm === undefined || grant === undefined || epoch > grant.sent) return;
    grant.answered = Math.max(grant.answered, epoch);
    arm.inFlight.set(app, inFlight);
  }

  lost(id: ArmId): void {
    const arm = this.#arms.get(id);
    if (arm?.standing === "linked") arm.standing = "lost";
  }

  /** Its process is gone. */
  gone(id: ArmId): void {
    this.#arms.delete(id);
  }

  get linked(): readonly ArmId[] {
    return [...this.#arms].filter(([, { standing }]) => standing === "linked").map(([id]) => id);
  }

  /** It was granted something of this app, or something of it runs there. */
  concerns(id: ArmId, app: AppName): boolean {
    const arm = this.#arms.get(id);
    return arm?.grants.has(app) === true || arm?.inFlight.has(app) === true;
  }

  /** No arm uses a right of an older epoch than this. Infinity: none has one. */
  floorOf(app: AppName): number {
    return Math.min(...[...this.#arms.values()].map((arm) => floorAt(arm, app)));
  }

  inFlightTo(app: AppName, vm: VmName): number {
    let requests = 0;
    for (const { inFlight } of this.#arms.values())
      for (const one of inFlight.get(app) ?? []) if (one.vm === vm) requests += one.requests;
    return requests;
  }

  /** Who keeps that epoch from being confirmed, for people. */
  waitsFor(app: AppName, epoch: number): readonly string[] {
    const waiting = [...this.#arms].filter(([, arm]) => floorAt(arm, app) < epoch);
    return waiting.map(([, { proxy }]) => proxy);
  }

  describe(): string {
    return [...this.#arms.values()].map(({ proxy, standing }) => `arm ${proxy} ${standing}`).join("; ");
  }
}

function floorAt({ standing, grants }: Arm, app: AppName): number {
  if (standing === "former") return 0;
  const grant = grants.get(app);
  if (grant === undefined) return Number.POSITIVE_INFINITY;
  // What it answered may be older than what it was told; between the two it may go by either.
  return grant.answered;
}
