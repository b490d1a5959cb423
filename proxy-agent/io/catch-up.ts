// Catch up: a client shows that a newer record than ours is in force. It is asked for at the gates of the app and at the voters, while
// gossip may bring it, and nothing is sent by the older one meanwhile. What a majority of the voters does not have was never in force.

import { type AppName, connectedVoters, type Mesh, type Registers, takeRecords } from "../../mesh/index.ts";
import { type Endpoint, reachedEndpoints } from "../core/route-table.ts";
import { CATCH_UP_GATES_MAX, CATCH_UP_PAUSE_MS, CATCH_UP_STEP_MS, CATCH_UP_WAITERS_MAX } from "../limits.ts";
import { monotonicUnixMs } from "./clock.ts";
import type { GateDesk } from "./gate-desk.ts";
import type { RouteFeed } from "./route-feed.ts";

export interface CatchUpDeps {
  readonly mesh: Mesh;
  readonly registers: Registers;
  readonly feed: Pick<RouteFeed, "table" | "nextTable" | "flush">;
  readonly gates: Pick<GateDesk, "learn">;
}

/** `reached`: the table in force is of that epoch or a later one. `unknown`: there is no such epoch. `late`: nobody said in time. */
export type CaughtUp = "reached" | "unknown" | "late";

/** One asking for what there is of an app. True: a majority's records are here, as it had them after this began. Never rejects. */
type Round = Promise<boolean>;

interface Sought {
  readonly app: AppName;
  readonly epoch: number;
  readonly others: readonly Endpoint[];
}

export class CatchUp {
  readonly #deps: CatchUpDeps;
  readonly #timeMs: number;
  readonly #rounds = new Map<AppName, Round>();
  /** When the last round of an app was over. */
  readonly #overAtMs = new Map<AppName, number>();
  #waiters = 0;

  constructor(deps: CatchUpDeps, timeMs: number) {
    this.#deps = deps;
    this.#timeMs = timeMs;
  }

  /** `others`: VMs of the app whose gates may know too, though its requests do not go there now. */
  async reach(
    app: AppName,
    epoch: number,
    signal: AbortSignal,
    others: readonly Endpoint[] = [],
  ): Promise<CaughtUp> {
    if (this.#isReached(app, epoch)) return "reached";
    if (this.#waiters >= CATCH_UP_WAITERS_MAX) return "late";
    this.#waiters += 1;
    const over = new AbortController();
    const end = AbortSignal.any([signal, over.signal]);
    try {
      return await this.#until({ app, epoch, others }, end);
    } finally {
      over.abort();
      this.#waiters -= 1;
    }
  }

  async #until({ app, epoch, others }: Sought, signal: AbortSignal): Promise<CaughtUp> {
    const endAtMs = monotonicUnixMs() + this.#timeMs;
    // One that runs already may have read before that epoch was committed: only one that begins after us says that there is none.
    let before = this.#rounds.get(app) ?? null;
    let isRead = false;
    for (;;) {
      const leftMs = endAtMs - monotonicUnixMs();
      if (this.#isReached(app, epoch)) return "reached";
      if (isRead) return "unknown";
      if (leftMs <= 0 || signal.aborted) return "late";
      const round = this.#rounds.get(app) ?? this.#begin(app, others);
      const isOurs = round !== before;
      const news = this.#deps.feed.nextTable(leftMs, signal).then(() => false);
      isRead = await Promise.race([news, round.then((isWhole) => isOurs && isWhole)]);
      if (before !== null && this.#rounds.get(app) !== before) before = null;
    }
  }

  #isReached(app: AppName, epoch: number): boolean {
    return (this.#deps.feed.table.apps.get(app)?.epoch ?? 0) >= epoch;
  }

  #begin(app: AppName, others: readonly Endpoint[]): Round {
    const round = this.#ask(app, others);
    this.#rounds.set(app, round);
    return round;
  }

  /** However many clients ask, and whatever they make up, a voter reads no more often. */
  async #ask(app: AppName, others: readonly Endpoint[]): Promise<boolean> {
    const pauseMs = (this.#overAtMs.get(app) ?? 0) + CATCH_UP_PAUSE_MS - monotonicUnixMs();
    if (pauseMs > 0) await new Promise((resolve) => setTimeout(resolve, pauseMs));
    const ofGates = this.#askGates(app, others);
    const isRead = await this.#askVoters();
    if (!isRead) await ofGates;
    this.#deps.feed.flush();
    this.#overAtMs.set(app, monotonicUnixMs());
    this.#rounds.delete(app);
    return isRead;
  }

  async #askGates(app: AppName, others: readonly Endpoint[]): Promise<void> {
    const { feed, gates } = this.#deps;
    const route = feed.table.apps.get(app);
    const byHost = new Map(
      [...others, ...(route === undefined ? [] : reachedEndpoints(route))]
        .filter(({ isGated }) => isGated)
        .map((endpoint) => [endpoint.host, endpoint]),
    );
    const asked = [...byHost.values()].slice(0, CATCH_UP_GATES_MAX);
    await Promise.all(asked.map((endpoint) => gates.learn(endpoint, new Uint8Array()).catch(() => false)));
  }

  async #askVoters(): Promise<boolean> {
    const { mesh, registers } = this.#deps;
    for (const { owner } of connectedVoters(mesh, registers.directory)) {
      try {
        const signal = AbortSignal.timeout(CATCH_UP_STEP_MS);
        // Of a record that this release cannot read nobody can say that it is not newer.
        return (await takeRecords({ mesh, registers }, owner, signal)).length === 0;
      } catch {
        // The next one may know.
      }
    }
    return false;
  }
}
