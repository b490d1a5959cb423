// Mover: what the first voter does of a host that is drained: whenever no rollout runs and a VM serves there, it begins a move, also after
// one that failed. Asked at a majority of the voters, and again while there is none.

import type { MemberName } from "../../mesh/index.ts";
import { stayOf } from "../../node/deploy/core/drain.ts";
import { submitMove } from "../../node/deploy/core/move.ts";
import type { SimCluster } from "./sim-cluster.ts";
import { SIM_APP, type SimDriver } from "./sim-driver.ts";

/** Longer than a move that failed is left alone. */
const AGAIN_MS = 31_000;

export class Mover {
  readonly #cluster: SimCluster;
  readonly #host: MemberName;
  #isWaiting = false;

  constructor(cluster: SimCluster, host: MemberName) {
    this.#cluster = cluster;
    this.#host = host;
    cluster.draining.add(host);
    cluster.tellMembers();
  }

  look(): void {
    const cluster = this.#cluster;
    if (this.#isWaiting || cluster.committed === null) return;
    const stay = stayOf(cluster.committed, this.#host, this.#context(cluster.inCharge));
    if (stay === null || stay.state === "moves") return;
    if (stay.state !== "due" || cluster.register.isAway) {
      this.#lookAgain();
      return;
    }
    const request = { app: SIM_APP, host: this.#host };
    cluster.submit((driver) => submitMove(cluster.committed, request, this.#context(driver)));
  }

  #lookAgain(): void {
    this.#isWaiting = true;
    this.#cluster.time.after(AGAIN_MS, () => {
      this.#isWaiting = false;
      this.look();
    });
  }

  #context({ machine }: SimDriver): ReturnType<SimDriver["machine"]["context"]> {
    return machine.context(this.#cluster.time.nowMs);
  }
}
