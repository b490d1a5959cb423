// Person: what somebody asks of a deploy on its way, by hand: to let it take over, to split the requests first, to halt it for a while,
// to go back once it is over, to give up a canary that was paused. Asked at a majority of the voters, and again while there is none.

import type { AppRecord } from "../../mesh/index.ts";
import { type HoldChange, heldByPerson, releasedByPerson } from "../../node/deploy/core/person-hold.ts";
import { type Submission, submitAbort, submitPromote } from "../../node/deploy/core/submit.ts";
import { submitPause, submitResume } from "../../node/deploy/core/submit-pause.ts";
import { submitRollback } from "../../node/deploy/core/submit-rollback.ts";
import { submitTraffic } from "../../node/deploy/core/submit-traffic.ts";
import type { Scenario } from "./scenarios.ts";
import type { SimCluster } from "./sim-cluster.ts";
import { SIM_APP, type SimDriver } from "./sim-driver.ts";

/** Until a person has looked. */
const LOOKED_MS = 60;
/** Longer than any wait timeout of a scenario: a deadline that went on would be noticed. */
const PAUSED_MS = 30_000;
/** Longer than a request is kept: it is answered 503, and what comes after it is kept again. */
const HELD_MS = 32_000;
/** Shorter than a rollout holds. */
const HELD_WITHIN_MS = 20;
/** Within the time for which old VMs are kept for pages, and as it ends. */
const BROWSED_MS = [500, 2_000, 4_000, 4_900, 5_100];
/** Of each proxy. */
const BROWSERS = 3;
/** Percents of the new release, one after the other, before it takes over. */
const CLIMBS: Partial<Record<Scenario["disturbance"], readonly number[]>> = {
  splits: [50],
  climbs: [10, 50, 90],
};

export class Person {
  readonly #cluster: SimCluster;
  readonly #asks: Scenario["disturbance"];
  #hasAsked = false;
  /** Splits that are to come. */
  readonly #left: number[];

  constructor(cluster: SimCluster, { disturbance }: Scenario) {
    this.#cluster = cluster;
    this.#asks = disturbance;
    this.#left = [...(CLIMBS[disturbance] ?? [])];
  }

  noteCommit(): void {
    const { rollout, kept } = this.#cluster.record ?? {};
    if (rollout?.kind !== "deploy") return;
    const isRunning = rollout.state === "running" && rollout.direction === "forward";
    const { step, approved } = rollout;
    if (isRunning && step?.kind === "approve" && approved !== true) this.#look();
    const isComing =
      isRunning && rollout.from !== null && (step?.kind === "serve" || step?.kind === "standby");
    if (this.#asks === "pauses" && isComing && this.#isFirst()) this.#pause();
    if (this.#asks === "holds" && isComing && this.#isFirst()) this.#hold(HELD_MS);
    const isHeld = isRunning && step?.kind === "hold";
    if (this.#asks === "holds-within" && isHeld && this.#isFirst()) this.#hold(HELD_WITHIN_MS);
    const isOver = rollout.state === "succeeded" && kept !== undefined;
    // A canary that got too little to be judged by: nobody likes the look of it.
    if (this.#asks !== "pauses" && rollout.state === "paused")
      this.#later(LOOKED_MS, (driver) =>
        submitAbort(this.#cluster.committed, SIM_APP, this.#context(driver)),
      );
    if (this.#asks === "browses" && isOver && this.#isFirst()) this.#browse();
    if (this.#asks === "rolls-back" && isOver && this.#isFirst())
      this.#later(LOOKED_MS, (driver) =>
        submitRollback(this.#cluster.committed, { app: SIM_APP, to: null }, this.#context(driver)),
      );
  }

  #isFirst(): boolean {
    const isFirst = !this.#hasAsked;
    this.#hasAsked = true;
    return isFirst;
  }

  /** Of new VMs that wait: some of the requests first, if that is the scenario; then all. */
  #look(): void {
    const weight = this.#left.shift();
    if (weight === undefined) {
      this.#later(LOOKED_MS, () => submitPromote(this.#cluster.committed, SIM_APP));
      return;
    }
    this.#later(LOOKED_MS, (driver) => {
      const request = {
        app: SIM_APP,
        weights: [
          { release: 1, weight: 100 - weight },
          { release: 2, weight },
        ],
      };
      const split = submitTraffic(this.#cluster.committed, request, this.#context(driver));
      return split.code === "invalid" ? submitPromote(this.#cluster.committed, SIM_APP) : split;
    });
  }

  #browse(): void {
    for (const atMs of BROWSED_MS) this.#cluster.time.after(atMs, () => this.#cluster.burst(BROWSERS));
  }

  #pause(): void {
    this.#later(0, (driver) => submitPause(this.#cluster.committed, SIM_APP, this.#context(driver)));
    this.#later(PAUSED_MS, () => submitResume(this.#cluster.committed, SIM_APP));
  }

  /** Somebody has all proxies keep the requests, and lets them go after a while. */
  #hold(forMs: number): void {
    this.#later(0, () => this.#changed((record) => heldByPerson(record, this.#cluster.wallMs)));
    this.#later(forMs, () => this.#changed(releasedByPerson));
  }

  #changed(changeOf: (record: AppRecord) => HoldChange): Submission {
    const { record } = this.#cluster;
    if (record?.rollout == null) throw new Error("nothing is deployed");
    const change = changeOf(record);
    if (change.code === "invalid") return change;
    return { code: "begin", record: change.record, rollout: record.rollout };
  }

  #later(ms: number, asked: (driver: SimDriver) => Submission): void {
    const cluster = this.#cluster;
    cluster.time.after(ms, () => {
      if (!cluster.register.isAway) cluster.submit(asked);
      else this.#later(LOOKED_MS, asked);
    });
  }

  #context({ machine }: SimDriver): ReturnType<SimDriver["machine"]["context"]> {
    return machine.context(this.#cluster.time.nowMs);
  }
}
