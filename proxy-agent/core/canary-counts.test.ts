import { describe, expect, it } from "vitest";
import { appName, waitBucket } from "../../mesh/index.ts";
import { CanaryCounter, type EndedTry } from "./canary-counts.ts";
import { type AppRoute, EMPTY_TABLE, type RouteTable } from "./route-table.ts";

const APP = appName("hello");

function table(epoch: number, bake: AppRoute["bake"]): RouteTable {
  return { ...EMPTY_TABLE, apps: new Map([[APP, { app: APP, epoch, bake } as AppRoute]]) };
}

function ended(over: Partial<EndedTry> = {}): EndedTry {
  return { endpoint: { app: APP, release: 2 }, epoch: 5, end: "good", waitMs: 10, ...over };
}

const BAKE = { rollout: "hello-v2", step: 4 };

describe("CanaryCounter", () => {
  it("counts nothing while no canary bakes, nor what an older table sent", () => {
    const counter = new CanaryCounter();
    counter.adopt(table(4, null));
    counter.count(ended());
    expect(counter.counts()).toEqual([]);
    counter.adopt(table(5, BAKE));
    counter.count(ended({ epoch: 4 }));
    expect(counter.counts()).toEqual([{ app: APP, ...BAKE, releases: [] }]);
  });

  it("tells requests, errors and waits of each release", () => {
    const counter = new CanaryCounter();
    counter.adopt(table(5, BAKE));
    counter.count(ended());
    counter.count(ended({ end: "error", waitMs: 200 }));
    counter.count(ended({ endpoint: { app: APP, release: 1 }, epoch: 6 }));
    const [fresh, old] = counter.counts()[0]?.releases ?? [];
    expect(fresh).toMatchObject({ release: 2, requests: 2, errors: 1 });
    expect(fresh?.waits[waitBucket(10)]).toBe(1);
    expect(fresh?.waits[waitBucket(200)]).toBe(1);
    expect(old).toMatchObject({ release: 1, requests: 1, errors: 0 });
  });

  it("takes a client that left for no request, and for as long a wait as it had", () => {
    const counter = new CanaryCounter();
    counter.adopt(table(5, BAKE));
    counter.count(ended({ end: "left", waitMs: 3_000 }));
    const [counts] = counter.counts()[0]?.releases ?? [];
    expect(counts).toMatchObject({ requests: 0, errors: 0 });
    expect(counts?.waits[waitBucket(3_000)]).toBe(1);
  });

  it("goes on counting through other commits of the step, and anew with the next one", () => {
    const counter = new CanaryCounter();
    counter.adopt(table(5, BAKE));
    counter.count(ended());
    counter.adopt(table(6, { ...BAKE }));
    counter.count(ended());
    expect(counter.counts()[0]?.releases[0]?.requests).toBe(2);
    counter.adopt(table(7, { ...BAKE, step: 6 }));
    expect(counter.counts()[0]).toMatchObject({ step: 6, releases: [] });
    counter.adopt(table(8, null));
    expect(counter.isIdle).toBe(true);
  });

  it("never grows past what a record can name", () => {
    const counter = new CanaryCounter();
    counter.adopt(table(5, BAKE));
    for (let release = 1; release < 100; release += 1) {
      counter.count(ended({ endpoint: { app: APP, release }, waitMs: 10 ** (release % 9) }));
    }
    expect(counter.counts()[0]?.releases).toHaveLength(4);
  });
});
