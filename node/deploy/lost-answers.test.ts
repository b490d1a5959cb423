// Answers of the register that are lost: whether a swap was carried out is then known to nobody who does not read. Others started a second
// set of VMs, or left both running (docs/scars.md).

import { afterEach, expect, it } from "vitest";
import { type AppName, type AppRecord, appName, type Register, type SwapResult } from "../../mesh/index.ts";
import { Cluster } from "./testing/cluster.ts";
import { specOf } from "./testing/specs.ts";

/** A register whose answers to swaps are lost, of some after they were carried out, of others before. */
class Forgetful implements Register {
  readonly #register: Register;
  #swaps = 0;

  constructor(register: Register) {
    this.#register = register;
  }

  get lost(): number {
    return this.#swaps;
  }

  async swap(app: AppName, expectedEpoch: number, record: AppRecord): Promise<SwapResult> {
    this.#swaps += 1;
    if (this.#swaps % 3 === 1) return { code: "unknown" };
    const result = await this.#register.swap(app, expectedEpoch, record);
    return this.#swaps % 3 === 2 ? { code: "unknown" } : result;
  }

  read: Register["read"] = (app) => this.#register.read(app);
  known: Register["known"] = () => this.#register.known();
  readAll: Register["readAll"] = () => this.#register.readAll();
  // Nobody tells it either: what became of a swap is only there to be read.
  onCommitted: Register["onCommitted"] = () => () => undefined;
  claimNames: Register["claimNames"] = (claim, names) => this.#register.claimNames(claim, names);
  releaseNames: Register["releaseNames"] = (claim, kept) => this.#register.releaseNames(claim, kept);
}

const cluster = new Cluster();
afterEach(() => cluster.stop());

it("a deploy whose swaps lose their answers takes each step once, and leaves what was asked for", async () => {
  await cluster.start();
  await cluster.coordinator.stop();
  const register = new Forgetful(cluster.register);
  cluster.coordinator = cluster.newCoordinator(register);
  cluster.coordinator.start();
  for (const release of ["v1", "v2"]) {
    expect(await cluster.coordinator.submit(specOf("hello", { command: ["node", release] }))).toMatchObject({
      code: "accepted",
    });
    const { rollout } = await cluster.until(
      "hello",
      (view) => view.rollout?.state === "succeeded" && view.release === release,
    );
    const kinds = release === "v1" ? ["start", "serve"] : ["start", "serve", "cordon", "stop"];
    expect(rollout?.history.map(({ kind }) => kind)).toEqual(kinds);
  }
  expect(register.lost).toBeGreaterThan(6);
  expect(cluster.running).toEqual(["hello-v2-1"]);
  expect(cluster.coordinator.view(appName("hello"))?.vms.map(({ vm }) => vm)).toEqual(["hello-v2-1"]);
});
