import { pino } from "pino";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { type OwnerId, ownerId } from "../core/ids.ts";
import { DIALS_MAX, REDIAL_LAST_MS } from "../limits.ts";
import { type DialOutcome, Peers } from "./peers.ts";

const SELF = ownerId("b");
const EARLIER = ownerId("a");
const LATER = ownerId("c");

interface Dial {
  readonly address: string | undefined;
  readonly owner: OwnerId | undefined;
  readonly atMs: number;
  end(outcome: DialOutcome): void;
}

let dials: Dial[];
/** How many of them `acceptAll` answered. */
let answered: number;
let connected: Set<OwnerId>;
/** Connections of theirs are open and no links yet. */
let coming: Set<OwnerId>;
let lagMs: number;
let peers: Peers;
let failed: { owner: OwnerId; isRefused: boolean }[];

beforeEach(() => {
  vi.useFakeTimers();
  dials = [];
  answered = 0;
  connected = new Set();
  coming = new Set();
  lagMs = 0;
  failed = [];
  peers = new Peers(SELF, {
    dial: (addresses, owner) =>
      new Promise((end) => dials.push({ address: addresses[0], owner, atMs: Date.now(), end })),
    isConnected: (owner) => connected.has(owner),
    isComing: (owner) => coming.has(owner),
    lagMs: () => lagMs,
    onFailed: (owner, isRefused) => failed.push({ owner, isRefused }),
    random: () => 0.5,
    logger: pino({ level: "silent" }),
  });
});

afterEach(() => {
  peers.stop();
  const timers = vi.getTimerCount();
  // First: files that follow in this worker have its clock.
  vi.useRealTimers();
  expect(timers).toBe(0);
});

async function failAll(turns: number): Promise<void> {
  for (let turn = 0; turn < turns; turn += 1) {
    dials.at(-1)?.end({ kind: "failed", isRefused: false });
    await vi.advanceTimersByTimeAsync(REDIAL_LAST_MS);
  }
}

test("a dead seed is dialed for ever, at most a last backoff apart", async () => {
  peers.addSeeds(["/ip4/127.0.0.1/tcp/1"]);
  await vi.advanceTimersByTimeAsync(0);
  await failAll(50);
  expect(dials).toHaveLength(51);
});

test("a dial that hung until its time-out is followed by the next at once: it was the backoff", async () => {
  peers.addSeeds(["/ip4/127.0.0.1/tcp/1"]);
  await vi.advanceTimersByTimeAsync(0);
  await failAll(10);
  await vi.advanceTimersByTimeAsync(REDIAL_LAST_MS);
  const before = dials.length;
  dials.at(-1)?.end({ kind: "failed", isRefused: false });
  await vi.advanceTimersByTimeAsync(1);
  expect(dials).toHaveLength(before + 1);
});

/** Answers each dial of a while as accepted. Returns how many there were. */
async function acceptAll(whileMs: number, onDial: () => void = () => undefined): Promise<number> {
  const before = answered;
  for (let passedMs = 0; passedMs < whileMs; passedMs += 10) {
    for (const dial of dials.slice(answered)) {
      dial.end({ kind: "connected", owner: LATER });
      onDial();
    }
    answered = dials.length;
    await vi.advanceTimersByTimeAsync(10);
  }
  return answered - before;
}

test("a peer that accepts connections and never gets a link is dialed with backoff too", async () => {
  peers.addSeeds(["/ip4/127.0.0.1/tcp/1"]);
  await vi.advanceTimersByTimeAsync(0);
  expect(await acceptAll(30_000)).toBeLessThan(50);
});

test("a link that goes as soon as it is up is dialed with backoff, until it lasts", async () => {
  peers.setMembers(new Map([[LATER, ["/ip4/127.0.0.1/tcp/1"]]]));
  const flap = (): void => {
    connected.add(LATER);
    setTimeout(() => {
      connected.delete(LATER);
      peers.lost(LATER);
    }, 5);
  };
  expect(await acceptAll(30_000, flap)).toBeLessThan(50);
  await acceptAll(1_000, () => connected.add(LATER));
  await vi.advanceTimersByTimeAsync(REDIAL_LAST_MS);
  const before = dials.length;
  connected.delete(LATER);
  peers.lost(LATER);
  await vi.advanceTimersByTimeAsync(50);
  expect(dials).toHaveLength(before + 1);
});

test("a new address of a member is dialed soon, whatever answered at the one before", async () => {
  peers.setMembers(new Map([[LATER, ["/ip4/127.0.0.1/tcp/1"]]]));
  await vi.advanceTimersByTimeAsync(200);
  dials[0]?.end({ kind: "foreign" });
  await vi.advanceTimersByTimeAsync(1_000);
  peers.setMembers(new Map([[LATER, ["/ip4/127.0.0.1/tcp/2"]]]));
  await vi.advanceTimersByTimeAsync(200);
  expect(dials.map((dial) => dial.address)).toEqual(["/ip4/127.0.0.1/tcp/1", "/ip4/127.0.0.1/tcp/2"]);
});

test("a seed that answered is left alone while its member is connected, and dialed at once when lost", async () => {
  peers.addSeeds(["/ip4/127.0.0.1/tcp/1"]);
  await vi.advanceTimersByTimeAsync(0);
  connected.add(LATER);
  dials[0]?.end({ kind: "connected", owner: LATER });
  await vi.advanceTimersByTimeAsync(100_000);
  expect(dials).toHaveLength(1);
  connected.delete(LATER);
  peers.lost(LATER);
  await vi.advanceTimersByTimeAsync(50);
  expect(dials).toHaveLength(2);
});

test("of two that know each other the one with the lower id dials first", async () => {
  peers.setMembers(new Map([[EARLIER, ["/ip4/127.0.0.1/tcp/1"]]]));
  await vi.advanceTimersByTimeAsync(99);
  expect(dials).toHaveLength(0);
  peers.setMembers(new Map([[LATER, ["/ip4/127.0.0.1/tcp/2"]]]));
  await vi.advanceTimersByTimeAsync(99);
  expect(dials.map((dial) => dial.owner)).toEqual([LATER]);
});

test("a foreign seed is hardly dialed again, and we ourselves never", async () => {
  peers.addSeeds(["/ip4/127.0.0.1/tcp/1", "/ip4/127.0.0.1/tcp/2"]);
  await vi.advanceTimersByTimeAsync(0);
  dials[0]?.end({ kind: "foreign" });
  dials[1]?.end({ kind: "self" });
  await vi.advanceTimersByTimeAsync(29_000);
  expect(dials).toHaveLength(2);
  await vi.advanceTimersByTimeAsync(1_000_000);
  expect(dials.map((dial) => dial.address)).toEqual([
    "/ip4/127.0.0.1/tcp/1",
    "/ip4/127.0.0.1/tcp/2",
    "/ip4/127.0.0.1/tcp/1",
  ]);
});

test("a few dials run at once at first, and one more for each that brought a connection, up to the bound", async () => {
  peers.addSeeds(Array.from({ length: 3 * DIALS_MAX }, (_, at) => `/ip4/127.0.0.1/tcp/${at + 1}`));
  await vi.advanceTimersByTimeAsync(10);
  const first = dials.length;
  expect(first).toBeLessThan(DIALS_MAX);
  dials[0]?.end({ kind: "failed", isRefused: false });
  await vi.advanceTimersByTimeAsync(1);
  expect(dials).toHaveLength(first + 1);
  for (let at = 1; at < 3 * DIALS_MAX; at += 1) {
    const owner = ownerId(`met-${at}`);
    connected.add(owner);
    dials[at]?.end({ kind: "connected", owner });
    await vi.advanceTimersByTimeAsync(1);
    const running = dials.length - at - 1;
    expect(running).toBeLessThanOrEqual(DIALS_MAX);
    if (at === DIALS_MAX) expect(running).toBe(DIALS_MAX);
  }
});

test("a member that is late itself dials one after the other", async () => {
  lagMs = 150;
  peers.addSeeds(Array.from({ length: 10 }, (_, at) => `/ip4/127.0.0.1/tcp/${at + 1}`));
  for (let at = 0; at < 5; at += 1) {
    await vi.advanceTimersByTimeAsync(1);
    expect(dials).toHaveLength(at + 1);
    dials[at]?.end({ kind: "connected", owner: ownerId(`met-${at}`) });
  }
  lagMs = 0;
  await vi.advanceTimersByTimeAsync(1);
  dials[5]?.end({ kind: "connected", owner: ownerId("met-5") });
  await vi.advanceTimersByTimeAsync(1);
  expect(dials.length).toBeGreaterThan(7);
});

test("a peer that is dialing us is not dialed as well, unless that comes to nothing", async () => {
  coming.add(LATER);
  peers.setMembers(new Map([[LATER, ["/ip4/127.0.0.1/tcp/1"]]]));
  await vi.advanceTimersByTimeAsync(5_000);
  expect(dials).toHaveLength(0);
  coming.delete(LATER);
  await vi.advanceTimersByTimeAsync(1_000);
  expect(dials).toHaveLength(1);
});

test("a member that is a seed too is dialed under one of the two names at a time", async () => {
  peers.addSeeds(["/ip4/127.0.0.1/tcp/1"]);
  peers.setMembers(new Map([[LATER, ["/ip4/127.0.0.1/tcp/1"]]]));
  await vi.advanceTimersByTimeAsync(5_000);
  expect(dials).toHaveLength(1);
  dials[0]?.end({ kind: "failed", isRefused: false });
  await vi.advanceTimersByTimeAsync(1_000);
  expect(dials).toHaveLength(2);
});

test("what was queued is not dialed once its peer is connected", async () => {
  const addresses = Array.from({ length: 10 }, (_, at) => `/ip4/127.0.0.1/tcp/${at + 1}`);
  peers.setMembers(new Map(addresses.map((address, at) => [ownerId(`later-${at}`), [address]])));
  await vi.advanceTimersByTimeAsync(100);
  const begun = dials.length;
  for (let at = 0; at < 10; at += 1) connected.add(ownerId(`later-${at}`));
  for (const dial of dials.slice()) dial.end({ kind: "failed", isRefused: false });
  await vi.advanceTimersByTimeAsync(10_000);
  expect(dials).toHaveLength(begun);
});
