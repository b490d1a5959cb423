import { pino } from "pino";
import { expect, test, vi } from "vitest";
import { headBytes } from "../core/head.ts";
import { ownerId } from "../core/ids.ts";
import type { HostDelta } from "../core/message.ts";
import { OwnState } from "../core/own-state.ts";
import { Replica } from "../core/replica.ts";
import { ENTRIES_PER_OWNER_MAX } from "../limits.ts";
import { standInCrypto } from "../sim/stand-in-crypto.ts";
import { ReplicaLoop, type ReplicaLoopDeps } from "./replica-loop.ts";

const SELF = ownerId("self");
const PEER = ownerId("peer");
const CRYPTO = standInCrypto(SELF);
const RETRY_MS = 1_000;

/** Signed by our key, and not by us. */
function foreignDelta(incarnation: number): HostDelta {
  const own = new OwnState(SELF, { incarnation, startId: 9 }, CRYPTO);
  own.write("a", new Uint8Array([1]));
  own.announce();
  const delta = own.takeGossip();
  if (delta === undefined) throw new Error("not announced");
  return delta;
}

function createLoop(deps: Partial<ReplicaLoopDeps>): ReplicaLoop {
  const replica = new Replica(
    { self: SELF, start: { incarnation: 1, startId: 1 } },
    { random: () => 0.5, ...CRYPTO },
  );
  return new ReplicaLoop(replica, {
    onForgotten: () => undefined,
    onTwin: () => undefined,
    nowMs: () => 0,
    newStartId: () => 2,
    publish: () => undefined,
    send: () => undefined,
    persist: async () => undefined,
    onChange: () => undefined,
    onPerformed: () => undefined,
    count: () => undefined,
    logger: pino({ level: "silent" }),
    ...deps,
  });
}

/** A whole state of so many entries, as its owner gives it. */
function stateOf(name: string, size: number): HostDelta {
  const [owner, start] = [ownerId(name), { incarnation: 1, startId: 1 }];
  const { roots, sign } = standInCrypto(owner);
  const entries = Array.from({ length: size }, (_, at) => {
    return { owner, key: `${at}`, value: new Uint8Array(1), version: { ...start, counter: at + 1 } };
  });
  const root = roots.rootOf(entries);
  const claim = { counter: size, completeAt: size, born: start, raisedAbove: 0, root };
  const head = { ...claim, signature: sign(headBytes(owner, start, claim)) };
  return { owner, start, from: 0, to: size, head, compacted: 0, isRepair: false, entries };
}

test("one message may put very many entries in force, and all are told in order", async () => {
  const names = Array.from({ length: 10 }, (_, at) => `owner-${at}`);
  const told: string[] = [];
  const loop = createLoop({ onChange: ({ owner, key }) => told.push(`${owner} ${key}`) });
  loop.step({ kind: "peer-connected", peer: PEER });
  const deltas = names.map((name) => stateOf(name, ENTRIES_PER_OWNER_MAX));
  const message = { kind: "delta", round: 0, hasMore: false, isLacking: false, deltas } as const;
  loop.step({ kind: "message", from: PEER, message });
  expect(told.length).toBe(10 * ENTRIES_PER_OWNER_MAX);
  expect(told.slice(0, 2)).toEqual(["owner-0 0", "owner-0 1"]);
  expect(told.at(-1)).toBe(`owner-9 ${ENTRIES_PER_OWNER_MAX - 1}`);
  await loop.stop();
});

test("a listener's write is performed after what was before it, and one that throws loses nothing else", async () => {
  const told: string[] = [];
  const loop: ReplicaLoop = createLoop({
    onChange: ({ key }) => {
      told.push(key);
      if (key === "a") loop.step({ kind: "write", key: "b", value: new Uint8Array(1) });
      if (key === "a") throw new Error("bug: of a listener");
    },
  });
  expect(() => loop.step({ kind: "write", key: "a", value: new Uint8Array(1) })).toThrow("of a listener");
  expect(told).toEqual(["a"]);
  loop.step({ kind: "write", key: "c", value: new Uint8Array(1) });
  expect(told).toEqual(["a", "b", "c"]);
  await loop.stop();
});

test("a lower incarnation never reaches the disk after a higher one, and stop waits for what is being written", async () => {
  const writes: { readonly incarnation: number; end(): void }[] = [];
  const written: number[] = [];
  const loop = createLoop({
    persist: async (incarnation) => {
      await new Promise<void>((end) => writes.push({ incarnation, end }));
      written.push(incarnation);
    },
  });
  const show = (incarnation: number): void => {
    const deltas = [foreignDelta(incarnation)];
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

test("an incarnation that cannot be written is an alarm and a count, and is tried again until it can", async () => {
  vi.useFakeTimers();
  try {
    const counted = new Map<string, number>();
    const [errors, written] = [[] as string[], [] as number[]];
    let isFull = true;
    const loop = createLoop({
      persist: async (incarnation) => {
        if (isFull) throw new Error("ENOSPC");
        written.push(incarnation);
      },
      count: (counter, by) => counted.set(counter, (counted.get(counter) ?? 0) + by),
      logger: pino({ level: "error" }, { write: (line: string) => errors.push(JSON.parse(line).msg) }),
    });
    loop.step({ kind: "peer-connected", peer: PEER });
    const message = { kind: "delta", round: 0, hasMore: false, isLacking: false } as const;
    loop.step({ kind: "message", from: PEER, message: { ...message, deltas: [foreignDelta(10)] } });
    await vi.advanceTimersByTimeAsync(0);
    await vi.advanceTimersByTimeAsync(RETRY_MS);
    expect(counted.get("incarnations-unwritten")).toBe(2);
    expect(errors).toEqual(Array(2).fill("cannot write the incarnation, will retry"));
    isFull = false;
    await vi.advanceTimersByTimeAsync(RETRY_MS);
    expect(written).toEqual([11]);
    await loop.stop();
  } finally {
    vi.useRealTimers();
  }
});
