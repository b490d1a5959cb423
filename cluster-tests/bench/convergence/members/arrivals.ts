// Arrivals: when others' writes of VMs were in this member's store, and, at a proxy, in its route table in force. A state is a
// prefix of its owner's history: who holds a later write has had all before it.

import {
  decodeRecord,
  type EntryChange,
  VM_PREFIX,
  type VmEntry,
  vmEntryShape,
} from "../../../../mesh/index.ts";
import type { RouteTable } from "../../../../proxy-agent/core/route-table.ts";
import type { Answers, Arrival, Commands } from "../protocol.ts";
import { Condition, type MemberClock } from "./member-shell.ts";

interface Seen {
  readonly counter: number;
  readonly change: EntryChange;
  readonly storedMs: number;
  inForceMs: number | null;
  table: RouteTable | null;
}

/** As all members name a write of a VM's entry. */
export function writeId({ owner, version }: Pick<EntryChange, "owner" | "version">): string {
  return `${owner}/${version.counter}`;
}

export class Arrivals {
  readonly #clock: MemberClock;
  readonly #routes: boolean;
  readonly #byOwner = new Map<string, Seen[]>();
  readonly #condition = new Condition();
  #awaiting: Seen[] = [];
  #table: RouteTable | null = null;

  /** `routes`: it is a proxy, and nothing has arrived before it is in a table. */
  constructor(clock: MemberClock, { routes }: { readonly routes: boolean }) {
    this.#clock = clock;
    this.#routes = routes;
  }

  stored(change: EntryChange): void {
    if (!change.key.startsWith(VM_PREFIX) || change.path === "own") return;
    const storedMs = this.#clock.nowMs();
    const seen: Seen = { counter: change.version.counter, change, storedMs, inForceMs: null, table: null };
    const ofOwner = this.#byOwner.get(change.owner) ?? [];
    this.#byOwner.set(change.owner, ofOwner);
    ofOwner.push(seen);
    if (this.#routes) this.#awaiting.push(seen);
    // Two changes that cancel each other out within one turn make no new table: the one in force contains both. The proxy
    // builds at the end of this turn, and was told before us, so it has built by then.
    setImmediate(() => this.#settle([seen], this.#table));
  }

  /** In the breath in which it came into force. */
  tabled(table: RouteTable): void {
    this.#table = table;
    this.#settle(this.#awaiting, table);
    this.#awaiting = [];
  }

  async gather({ ids, timeoutMs }: Commands["gather"]): Promise<Answers["gather"]> {
    const arrivalOf = (id: string): Arrival => {
      const seen = this.#find(id);
      return { id, storedMs: seen?.storedMs ?? null, inForceMs: seen?.inForceMs ?? null };
    };
    const isThere = (id: string): boolean => {
      const { storedMs, inForceMs } = arrivalOf(id);
      return this.#routes ? inForceMs !== null : storedMs !== null;
    };
    await this.#condition.until(() => ids.every(isThere), timeoutMs);
    for (const id of ids) this.#verify(this.#find(id));
    return { arrivals: ids.map(arrivalOf) };
  }

  #settle(awaiting: readonly Seen[], table: RouteTable | null): void {
    const inForceMs = this.#clock.nowMs();
    for (const seen of awaiting)
      if (this.#routes && seen.inForceMs === null) Object.assign(seen, { inForceMs, table });
    this.#condition.look();
  }

  #find(id: string): Seen | undefined {
    const [owner = "", counter] = id.split("/");
    return this.#byOwner.get(owner)?.find((seen) => seen.counter >= Number(counter));
  }

  /** Looks afterwards whether the table that was said to contain a write does: else the figures are of something else. */
  #verify(seen: Seen | undefined): void {
    if (seen?.table == null || seen.change.value === null) return;
    const entry = decodeRecord(vmEntryShape, seen.change.value);
    if (!entry.ok) throw new Error(`bench: ${seen.change.key} cannot be read: ${entry.error}`);
    const { vm, app, health } = entry.value;
    const endpoint = seen.table.apps.get(app)?.endpoints.find((one) => one.vm === vm);
    const isTold = endpoint?.healthy === (health === "healthy");
    if (!isTold && !this.#isReplaced(seen, entry.value))
      throw new Error(`bench: a table lacks ${seen.change.key}`);
  }

  /** By a later write of the same VM that came into the same table. */
  #isReplaced(seen: Seen, { vm }: VmEntry): boolean {
    const ofOwner = this.#byOwner.get(seen.change.owner) ?? [];
    return ofOwner.some(
      ({ change, counter, table }) =>
        counter > seen.counter && table === seen.table && change.key === `${VM_PREFIX}${vm}`,
    );
  }
}
