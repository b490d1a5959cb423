import { setImmediate as turn } from "node:timers/promises";
import fc from "fast-check";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import type { Version } from "../core/version.ts";
import { APPLIED_REPEAT_MS, CONVERGENCE_DEADLINE_MS, FOLLOW_REPORT_MS, FOLLOW_STEPS_MAX } from "../limits.ts";
import { encodeRecord } from "../records/record-codec.ts";
import { at, PEER, SELF, StandInMesh } from "../sim/stand-in-mesh.ts";
import { Applied } from "./applied.ts";
import { encodeApplied } from "./applied-answers.ts";
import { decodeFollowReport, FOLLOW_TOPIC, FOLLOWED_TOPIC } from "./follow-answers.ts";

let mesh: StandInMesh;
let applied: Applied;
let nowMs: number;
beforeEach(() => {
  vi.useFakeTimers();
  mesh = new StandInMesh();
  mesh.role = "proxy";
  mesh.isRegistered = true;
  nowMs = 1_000;
  applied = new Applied({ mesh, nowMs: () => nowMs, random: () => 0.5, count: () => undefined });
  applied.convergence.begin();
});
afterEach(() => {
  applied.stop();
  expect(vi.getTimerCount()).toBe(0);
  vi.useRealTimers();
});

const wait = async (ms: number): Promise<void> => {
  nowMs += ms;
  await vi.advanceTimersByTimeAsync(ms);
};

function write(key: string, counter: number): void {
  mesh.heads.set(SELF, at(counter));
  applied.convergence.wrote(key, at(counter), nowMs);
}

function report(start: Version, ...steps: readonly (readonly [number, number, number])[]): void {
  const { incarnation, startId } = start;
  mesh.hear(FOLLOWED_TOPIC, encodeRecord({ format: 1, incarnation, startId, steps }));
}

const asked = () => mesh.told.filter(({ topic }) => topic === FOLLOW_TOPIC).length;
const proxies = () => applied.convergence.view().proxies;
const stores = () => applied.convergence.view().stores;

describe("an owner", () => {
  it("asks once for all its writes to come, and for none that does not route", async () => {
    write("custom/a", 6);
    await wait(0);
    expect(asked()).toBe(0);
    for (const counter of [7, 8]) write("vm/a", counter);
    await wait(0);
    write("app/a", 9);
    await wait(0);
    expect(mesh.told).toEqual([{ topic: FOLLOW_TOPIC, head: at(8) }]);
    expect(proxies().writes).toBe(3);
  });

  it("takes from each answer how long it lay there: gathering is no latency", () => {
    write("vm/a", 6);
    nowMs += 110;
    report(at(0), [6, 107, 105]);
    expect(stores().seconds.sum).toBeCloseTo(0.003, 9);
    expect(proxies().seconds.sum).toBeCloseTo(0.005, 9);
  });

  it("asks again who does not answer, and who is back, and counts at the deadline what it missed as lost", async () => {
    write("vm/a", 6);
    await wait(APPLIED_REPEAT_MS);
    await wait(APPLIED_REPEAT_MS);
    expect(asked()).toBeGreaterThanOrEqual(2);
    const before = asked();
    mesh.setConnected(false);
    mesh.setConnected(true);
    await wait(0);
    expect(asked()).toBe(before + 1);
    for (let count = 0; count <= CONVERGENCE_DEADLINE_MS / APPLIED_REPEAT_MS; count += 1)
      await wait(APPLIED_REPEAT_MS);
    expect(proxies()).toMatchObject({ writes: 1, lost: { deadline: 1 } });
  });

  it("is silent once all is known, and when nothing is written", async () => {
    write("vm/a", 6);
    report(at(0), [6, 0, 0]);
    await wait(5 * APPLIED_REPEAT_MS);
    expect(asked()).toBe(1);
    expect(vi.getTimerCount()).toBe(0);
  });

  it("counts a registered proxy that is not connected, and none that is dead or left", () => {
    mesh.setConnected(false);
    write("vm/a", 6);
    expect([proxies().writes, stores().writes]).toEqual([1, 1]);
    mesh.liveness = "dead";
    mesh.setConnected(false);
    write("vm/a", 7);
    expect([proxies().writes, stores().writes]).toEqual([1, 1]);
  });

  it("counts what a new start of its own superseded as lost, and takes no answer for it", () => {
    write("vm/a", 6);
    mesh.heads.set(SELF, at(3, 11, 2));
    report(at(0), [6, 0, 0]);
    expect(proxies()).toMatchObject({ lost: { "new-start": 1 }, seconds: { sum: 0 } });
  });

  it("does not take a claim beyond what it wrote for having what it writes next", () => {
    write("vm/a", 6);
    report(at(0), [1_000, 0, 0]);
    write("vm/a", 7);
    nowMs += 5;
    report(at(0), [7, 0, 0]);
    expect(proxies().seconds.sum).toBeCloseTo(0.005, 9);
  });

  it("measures nothing before it is announced", async () => {
    const early = new Applied({ mesh, nowMs: () => nowMs, random: () => 0.5, count: () => undefined });
    early.convergence.wrote("vm/a", at(6), nowMs);
    await wait(0);
    expect([asked(), early.convergence.view().stores.writes]).toEqual([0, 0]);
    early.stop();
  });
});

describe("a member that is followed", () => {
  const follow = () => mesh.hear(FOLLOW_TOPIC, encodeApplied(at(1)));
  const reports = () => mesh.messages.map(decodeFollowReport);

  beforeEach(() => {
    vi.useRealTimers();
    vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
  });

  const inTurn = async (change: () => void): Promise<void> => {
    change();
    await turn();
  };

  it("gathers its steps and tells each with its age, settled before", async () => {
    const order: string[] = [];
    applied.answers.beforeApplied(() => order.push("settled"));
    mesh.heads.set(PEER, at(1));
    await inTurn(follow);
    nowMs += 10;
    await inTurn(() => mesh.reach(at(2)));
    nowMs += 20;
    await inTurn(() => mesh.reach(at(3)));
    expect(mesh.messages).toEqual([]);
    nowMs += 70;
    await vi.advanceTimersByTimeAsync(FOLLOW_REPORT_MS);
    expect(reports()).toEqual([
      {
        format: 1,
        incarnation: 10,
        startId: 1,
        steps: [
          [1, 100, 100],
          [2, 90, 90],
          [3, 70, 70],
        ],
      },
    ]);
    expect(order).toHaveLength(3);
  });

  it("tells nothing more of who was lost, and all at once before it stops", async () => {
    mesh.heads.set(PEER, at(1));
    await inTurn(follow);
    applied.endWaits();
    expect(reports().map((told) => told?.steps.length)).toEqual([1]);
    mesh.setConnected(false);
    await inTurn(() => mesh.reach(at(2)));
    applied.endWaits();
    expect(mesh.messages).toHaveLength(1);
  });

  it("is bounded: what is too much is told as one with the last, later, never earlier", async () => {
    mesh.heads.set(PEER, at(1));
    await inTurn(follow);
    for (let counter = 2; counter <= FOLLOW_STEPS_MAX + 5; counter += 1) {
      nowMs += 1;
      await inTurn(() => mesh.reach(at(counter)));
    }
    applied.endWaits();
    const steps = reports()[0]?.steps ?? [];
    expect(steps).toHaveLength(FOLLOW_STEPS_MAX);
    expect(steps.at(-1)).toEqual([FOLLOW_STEPS_MAX + 5, 0, 0]);
  });

  it("is not moved by bytes of any kind", async () => {
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({ maxLength: 64 }), async (bytes) => {
        mesh.hear(FOLLOW_TOPIC, bytes);
        mesh.hear(FOLLOWED_TOPIC, bytes);
        await turn();
      }),
      { numRuns: 200 },
    );
    expect(mesh.told).toEqual([]);
  });
});
