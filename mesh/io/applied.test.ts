import { setImmediate as turn } from "node:timers/promises";
import fc from "fast-check";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import type { Version } from "../core/version.ts";
import { APPLIED_REPEAT_MS, APPLIED_WAITS_MAX } from "../limits.ts";
import { at, PEER, SELF, StandInMesh } from "../sim/stand-in-mesh.ts";
import { Applied } from "./applied.ts";
import { APPLIED_ASK_TOPIC, APPLIED_TOPIC, encodeApplied } from "./applied-answers.ts";

const NEVER = new AbortController().signal;

let mesh: StandInMesh;
let applied: Applied;
let nowMs: number;
beforeEach(() => {
  mesh = new StandInMesh();
  nowMs = 1_000;
  applied = new Applied({ mesh, nowMs: () => nowMs, random: () => 0.5, count: () => undefined });
});
afterEach(() => {
  applied.stop();
  vi.useRealTimers();
});

const settledState = async (promise: Promise<unknown>): Promise<"over" | "waits"> =>
  Promise.race([promise.then(() => "over" as const), turn("waits" as const)]);

describe("a wait", () => {
  it("asks once for all writes of one breath, up to our head", async () => {
    void applied.whenApplied(at(4), NEVER);
    void applied.whenApplied(at(5), NEVER);
    expect(mesh.told).toEqual([]);
    await Promise.resolve();
    expect(mesh.told).toEqual([{ topic: APPLIED_ASK_TOPIC, head: at(5) }]);
  });

  it("ends with the answer that contains the write, by our own clock", async () => {
    const report = applied.whenApplied(at(5), NEVER);
    mesh.hear(APPLIED_TOPIC, encodeApplied(at(4)));
    expect(await settledState(report)).toBe("waits");
    nowMs += 7;
    mesh.hear(APPLIED_TOPIC, encodeApplied(at(5)));
    expect(await report).toEqual({
      acks: [{ owner: PEER, name: "peer", role: "host", ms: 7 }],
      missing: [],
    });
  });

  it("does not take a higher version for it that is no start of ours", async () => {
    const report = applied.whenApplied(at(5), NEVER);
    mesh.hear(APPLIED_TOPIC, encodeApplied(at(9, 11, 7)));
    expect(await settledState(report)).toBe("waits");
    // We raised above it, and wrote again all that lives.
    mesh.heads.set(SELF, at(3, 12, 2));
    mesh.hear(APPLIED_TOPIC, encodeApplied(at(3, 12, 2)));
    expect((await report).acks).toHaveLength(1);
  });

  it("does not take an earlier start of ours for it", async () => {
    mesh.heads.set(SELF, at(5, 12, 2));
    const report = applied.whenApplied(at(5, 12, 2), NEVER);
    mesh.hear(APPLIED_TOPIC, encodeApplied(at(99)));
    expect(await settledState(report)).toBe("waits");
  });

  it("asks again when the answer is long in coming, and when the peer is back", async () => {
    vi.useFakeTimers();
    void applied.whenApplied(at(5), NEVER);
    await vi.advanceTimersByTimeAsync(APPLIED_REPEAT_MS);
    expect(mesh.told).toHaveLength(2);
    mesh.setConnected(false);
    mesh.setConnected(true);
    await vi.advanceTimersByTimeAsync(0);
    expect(mesh.told).toHaveLength(3);
  });

  it("leaves no timer when it is over", async () => {
    vi.useFakeTimers();
    const abort = new AbortController();
    const report = applied.whenApplied(at(5), abort.signal);
    expect(vi.getTimerCount()).toBe(1);
    abort.abort();
    await report;
    expect(vi.getTimerCount()).toBe(0);
  });

  it.each([
    ["has not answered", () => undefined],
    ["has not answered: has 10.1.4, not yet 10.1.5", () => mesh.hear(APPLIED_TOPIC, encodeApplied(at(4)))],
    ["its connection was lost", () => mesh.setConnected(false)],
    [
      "was lost and is back, no answer since",
      () => {
        mesh.setConnected(false);
        mesh.setConnected(true);
      },
    ],
  ])("that is given up says why: %s", async (why, happen) => {
    const abort = new AbortController();
    const report = applied.whenApplied(at(5), abort.signal);
    happen();
    abort.abort();
    expect(await report).toMatchObject({ acks: [], missing: [{ name: "peer", why }] });
  });

  it("over the bound ends at once", async () => {
    for (let count = 0; count < APPLIED_WAITS_MAX; count += 1) void applied.whenApplied(at(5), NEVER);
    const { missing } = await applied.whenApplied(at(5), NEVER);
    expect(missing).toMatchObject([{ why: "over 1024 writes wait here" }]);
  });

  it("without anybody else is over at once", async () => {
    mesh.isConnected = false;
    expect(await applied.whenApplied(at(5), NEVER)).toEqual({ acks: [], missing: [] });
  });
});

describe("an answer", () => {
  const ask = (head: Version) => mesh.hear(APPLIED_ASK_TOPIC, encodeApplied(head));

  it("comes at the end of the turn, then with each step until what was asked for is reached", async () => {
    mesh.heads.set(PEER, at(1));
    ask(at(3));
    expect(mesh.told).toEqual([]);
    await turn();
    mesh.reach(at(2));
    mesh.reach(at(3));
    await turn();
    mesh.reach(at(4));
    await turn();
    expect(mesh.told.map(({ head }) => head?.counter)).toEqual([1, 3]);
  });

  it("is not given before what was told is settled", async () => {
    const order: string[] = [];
    mesh.heads.set(PEER, at(3));
    applied.answers.beforeApplied(() => order.push(`settled, told ${mesh.told.length}`));
    ask(at(3));
    await turn();
    expect(order).toEqual(["settled, told 0"]);
    expect(mesh.told).toHaveLength(1);
  });

  it("waits for nobody that was lost", async () => {
    mesh.heads.set(PEER, at(1));
    ask(at(3));
    await turn();
    mesh.setConnected(false);
    mesh.reach(at(3));
    await turn();
    expect(mesh.told).toHaveLength(1);
  });

  it("to bytes of any kind does no harm", async () => {
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({ maxLength: 64 }), async (bytes) => {
        mesh.hear(APPLIED_ASK_TOPIC, bytes);
        mesh.hear(APPLIED_TOPIC, bytes);
        await turn();
      }),
      { numRuns: 500 },
    );
    expect(mesh.told).toEqual([]);
  });
});
