import { pino } from "pino";
import { expect, test } from "vitest";
import { ownerId } from "../core/ids.ts";
import { Replica } from "../core/replica.ts";
import { ReplicaLoop } from "./replica-loop.ts";

const SELF = ownerId("self");
const PEER = ownerId("peer");

test("a lower incarnation never reaches the disk after a higher one, and stop waits for what is being written", async () => {
  const replica = new Replica({ self: SELF, start: { incarnation: 1, startId: 1 } }, { random: () => 0.5 });
  const writes: { readonly incarnation: number; end(): void }[] = [];
  const written: number[] = [];
  const loop = new ReplicaLoop(replica, {
    nowMs: () => 0,
    newStartId: () => 2,
    publish: () => undefined,
    send: () => undefined,
    persist: async (incarnation) => {
      await new Promise<void>((end) => writes.push({ incarnation, end }));
      written.push(incarnation);
    },
    onChange: () => undefined,
    count: () => undefined,
    logger: pino({ level: "silent" }),
  });
  const show = (incarnation: number): void => {
    const start = { incarnation, startId: 9 };
    const counters = { from: 0, to: 0, head: 0, compacted: 0, completeAt: 0, isRepair: false };
    const deltas = [{ owner: SELF, start, ...counters, entries: [] }];
    const message = { kind: "delta", round: 0, hasMore: false, isLacking: false, deltas } as const;
    loop.step({ kind: "message", from: PEER, message });
  };
  loop.step({ kind: "peer-connected", peer: PEER });
  show(10);
  show(20);
  await Promise.resolve();
  expect(writes.map(({ incarnation }) => incarnation)).toEqual([11]);
  const stopped = loop.stop().then(() => written.push(Number.POSITIVE_INFINITY));
  writes[0]?.end();
  await new Promise<void>((resolve) => setImmediate(resolve));
  writes[1]?.end();
  await stopped;
  expect(written).toEqual([11, 21, Number.POSITIVE_INFINITY]);
});
