// Sim proxy: a proxy that really holds a table and sends requests by it, one after the other, each of them over some events.

import type { Ack, CommittedApp, MemberName, VmName } from "../../../mesh/index.ts";
import { routesTo } from "../testing/judge.ts";
import { SIM_APP } from "./sim-driver.ts";

/** A request goes on for so many events: longer than most steps need, so that drains have something to wait for. */
const REQUEST_EVENTS = 9;

export class SimProxy {
  readonly name: MemberName;
  registered = true;
  /** It hears nobody and nobody hears it; clients reach it all the same. */
  isCut = false;
  readonly inFlight: Map<VmName, number> = new Map();
  #table: CommittedApp | null;
  /** What each driver was told last. */
  readonly #told = new Map<MemberName, string>();
  /** What it answers now, and as text; null: something changed since. */
  #answer: { readonly ack: Ack; readonly text: string } | null = null;
  #requests = 0;
  #hasServed = false;
  #sinceEvents = 0;

  constructor(name: MemberName, table: CommittedApp | null) {
    this.name = name;
    this.#table = table;
  }

  get table(): CommittedApp | null {
    return this.#table;
  }

  apply(table: CommittedApp | null): void {
    this.#table = table;
    this.#answer = null;
  }

  /** What it has not told this driver yet, or null. */
  news(driver: MemberName): Ack | null {
    if (this.isCut || this.#table === null) return null;
    this.#answer ??= answerOf(this.#table, this.inFlight);
    return this.#told.get(driver) === this.#answer.text ? null : this.#answer.ack;
  }

  noteTold(driver: MemberName): void {
    if (this.#answer !== null) this.#told.set(driver, this.#answer.text);
  }

  /** A driver that starts again is told anew. */
  forget(driver: MemberName): void {
    this.#told.delete(driver);
  }

  get isBusy(): boolean {
    return this.inFlight.size > 0;
  }

  finish(): void {
    this.inFlight.clear();
    this.#answer = null;
  }

  /** One event passed. Returns the VM that a request was sent to just now; null: the table has none any more; undefined: none was sent. */
  pass(): VmName | null | undefined {
    this.#sinceEvents += 1;
    if (this.isBusy && this.#sinceEvents < REQUEST_EVENTS) return undefined;
    this.finish();
    this.#sinceEvents = 0;
    if (this.table === null || !this.registered) return undefined;
    const serving = this.table.record.vms.filter((vm) => vm.phase === "serving");
    this.#hasServed ||= serving.length > 0;
    if (!this.#hasServed) return undefined;
    this.#requests += 1;
    const vm = serving[this.#requests % Math.max(1, serving.length)]?.vm ?? null;
    if (vm !== null) this.inFlight.set(vm, 1);
    return vm;
  }
}

function answerOf(table: CommittedApp, flights: ReadonlyMap<VmName, number>): { ack: Ack; text: string } {
  const { epoch } = table;
  const busy = [...flights].filter(([vm]) => !routesTo(table, vm));
  const inFlight = busy.map(([vm, requests]) => ({ vm, requests }));
  const standing = { app: SIM_APP, applied: epoch, verified: epoch, nack: null, inFlight };
  const ack = { ...standing, cut: [], applyMs: 1, lastDispatch: [] };
  return { ack, text: JSON.stringify([epoch, inFlight]) };
}
