// Drains: the first voter that lives begins the moves of all apps off hosts that are drained, one commit after the other, so that each
// is placed knowing of those before, and no more run at once than `MOVES_MAX`. It keeps no state: whoever is the first next goes on.

import type { Logger } from "pino";
import { type AppName, type MemberName, messageOf, type Register } from "../../mesh/index.ts";
import type { AppView } from "./app-view.ts";
import type { CommitContext } from "./core/commits.ts";
import { nextMove, type Stay, stayOf } from "./core/drain.ts";
import type { HostFact } from "./core/facts.ts";
import type { MoveRequest } from "./core/move.ts";
import type { SubmitResult } from "./deploys.ts";
import type { DrainView, HostDrains } from "./drain-view.ts";
import { Watches } from "./watches.ts";

export interface DrainsDeps {
  readonly register: Pick<Register, "known" | "readAll">;
  /** All that are known, with what records place there now. */
  readonly hosts: () => readonly HostFact[];
  /** What is known of this app; null: no machine knows it yet. */
  readonly context: (app: AppName) => CommitContext | null;
  readonly view: (app: AppName) => AppView | null;
  /** Ours is the first voter that lives. */
  readonly isFirst: () => boolean;
  readonly move: (request: MoveRequest) => Promise<SubmitResult>;
  /** Awaited before the agent stops. */
  readonly track: (work: Promise<void>) => void;
  readonly logger: Pick<Logger, "warn">;
  /** Since 1970. */
  readonly wallMs: () => number;
  readonly signal: AbortSignal;
}

type PlacedStay = Stay & { readonly host: MemberName };

/** A move that could not be committed is tried again after this; most such reasons are over with the next news. */
const RETRY_MS = 1_000;
/** setTimeout's own bound. */
const TIMER_MS_MAX = 2 ** 31 - 1;

export class Drains implements HostDrains {
  readonly #deps: DrainsDeps;
  readonly #watches = new Watches<MemberName>();
  /** Until when an app is not tried again. */
  readonly #refused = new Map<AppName, number>();
  #isAnyDrained = false;
  #isLooking = false;
  #isNews = false;
  #timer: NodeJS.Timeout | null = null;

  constructor(deps: DrainsDeps) {
    this.#deps = deps;
    deps.signal.addEventListener("abort", () => this.#disarm(), { once: true });
  }

  /** Something changed that a view may tell of. */
  changed(): void {
    this.#watches.allChanged();
  }

  /** All hosts that are known. */
  membersChanged(hosts: readonly HostFact[]): void {
    this.#isAnyDrained = hosts.some(({ draining }) => draining === true);
    this.changed();
    this.look();
  }

  /** A record or a member changed: perhaps a move can begin. Of a thousand hosts facts are not made anew at each commit for nothing. */
  look(): void {
    if (!this.#isAnyDrained) return;
    this.#isNews = true;
    if (this.#isLooking || this.#deps.signal.aborted) return;
    this.#isLooking = true;
    this.#deps.track(this.#lookOn());
  }

  async read(): Promise<string | null> {
    return this.#deps.register.readAll().then(() => null, messageOf);
  }

  view(host: MemberName): DrainView | null {
    const hosts = this.#deps.hosts();
    const fact = hosts.find((one) => one.host === host);
    if (fact === undefined) return null;
    const nowMs = this.#deps.wallMs();
    const apps = this.#staysOf(host, hosts).map(({ dueAtMs, host: _host, ...stay }) => ({
      ...stay,
      inMs: dueAtMs === null ? null : Math.max(0, dueAtMs - nowMs),
      view: stay.state === "moves" ? this.#deps.view(stay.app) : null,
    }));
    const { draining, cordoned, open: connected } = fact;
    const use = draining === true ? "draining" : cordoned === true ? "cordoned" : "open";
    return { host, use, connected, empty: apps.length === 0, apps };
  }

  watch(host: MemberName, signal: AbortSignal): AsyncGenerator<DrainView> {
    const ended = AbortSignal.any([signal, this.#deps.signal]);
    return this.#watches.watch(host, () => this.view(host), ended);
  }

  async #lookOn(): Promise<void> {
    // Of one turn of the event loop all news is looked at once.
    await Promise.resolve();
    while (this.#isNews && !this.#deps.signal.aborted) {
      this.#isNews = false;
      await this.#beginMoves();
    }
    this.#isLooking = false;
  }

  async #beginMoves(): Promise<void> {
    const { isFirst, signal } = this.#deps;
    while (isFirst() && !signal.aborted) {
      const hosts = this.#deps.hosts();
      const drained = hosts.filter(({ draining }) => draining === true);
      const stays = drained.flatMap(({ host }) => this.#staysOf(host, hosts));
      this.#armFor(stays);
      const isRefused = ({ app, state }: Stay) => state === "due" && this.#refused.has(app);
      const next = nextMove(stays.filter((stay) => !isRefused(stay)));
      if (next === null) return;
      await this.#begin(next);
    }
  }

  async #begin(request: MoveRequest): Promise<void> {
    const { move, logger, wallMs } = this.#deps;
    const result = await move(request).catch((error: unknown) => ({
      code: "failed",
      message: messageOf(error),
    }));
    if (result.code === "accepted") return;
    const { message = "" } = "message" in result ? result : {};
    logger.warn({ ...request, code: result.code, message }, "a move did not begin");
    this.#refused.set(request.app, wallMs() + RETRY_MS);
  }

  #staysOf(host: MemberName, hosts: readonly HostFact[]): readonly PlacedStay[] {
    const facts = new Map(hosts.map((fact) => [fact.host, fact]));
    const stays = this.#deps.register.known().flatMap((committed): readonly PlacedStay[] => {
      const context = this.#deps.context(committed.record.app);
      if (context === null) return [];
      const fresh = { ...context, facts: { ...context.facts, hosts: facts } };
      const stay = stayOf(committed, host, fresh);
      return stay === null ? [] : [{ ...stay, host }];
    });
    return stays.sort((left, right) => (left.app < right.app ? -1 : 1));
  }

  /** For what time alone brings: the next try of what failed, the end of what was kept. */
  #armFor(stays: readonly Stay[]): void {
    const nowMs = this.#deps.wallMs();
    for (const [app, untilMs] of this.#refused) if (untilMs <= nowMs) this.#refused.delete(app);
    const due = [...stays.flatMap(({ dueAtMs }) => dueAtMs ?? []), ...this.#refused.values()];
    this.#disarm();
    if (due.length === 0) return;
    const waitMs = Math.min(TIMER_MS_MAX, Math.max(1, Math.min(...due) - nowMs));
    this.#timer = setTimeout(() => this.look(), waitMs);
  }

  #disarm(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
  }
}
