import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { HOLD_RELEASE_FIRST, HOLD_RELEASE_STEP_MS } from "../limits.ts";
import { type HeldRequest, HoldQueue } from "./hold.ts";

interface Named extends HeldRequest {
  readonly name: number;
}

const BOUNDS = { maxAgeMs: 1_000, maxRequests: 3, maxBytes: 100 };

function request(name: number, arrivedAtMs = 0, bytes = 0): Named {
  return { name, arrivedAtMs, bytes };
}

function names(requests: readonly Named[]): readonly number[] {
  return requests.map(({ name }) => name);
}

function heldQueue(bounds = BOUNDS): HoldQueue<Named> {
  const queue = new HoldQueue<Named>();
  queue.set(true, bounds, 0);
  return queue;
}

describe("while requests are held", () => {
  test("none is released, and the first that gets too old says when to look again", () => {
    const queue = heldQueue();
    queue.arrive(request(1, 100));
    queue.arrive(request(2, 40));
    expect(queue.moves(500)).toEqual({ released: [], expired: [], nextAtMs: 1_040 });
  });

  test("what has waited for too long is turned away, and the others wait on", () => {
    const queue = heldQueue();
    for (const arrivedAtMs of [0, 700]) queue.arrive(request(arrivedAtMs, arrivedAtMs));
    const { expired, released, nextAtMs } = queue.moves(1_000);
    expect([names(expired), released, nextAtMs]).toEqual([[0], [], 1_700]);
    expect(queue.isHeld).toBe(true);
  });

  test("one that came back to the hold is as old as it is, wherever it stands", () => {
    const queue = heldQueue();
    queue.arrive(request(1, 600));
    queue.arrive(request(2, 100));
    expect(queue.moves(600).nextAtMs).toBe(1_100);
    expect([names(queue.moves(1_100).expired), queue.moves(1_100).nextAtMs]).toEqual([[2], 1_600]);
  });

  test("one too many is told so, and there is room again when a client leaves", () => {
    const queue = heldQueue();
    const first = request(1);
    expect([first, request(2), request(3), request(4)].map((one) => queue.arrive(one))).toEqual([
      null,
      null,
      null,
      "requests",
    ]);
    queue.ended(first);
    expect(queue.arrive(request(5))).toBeNull();
  });

  test("bodies count, and their bytes are given back", () => {
    const queue = heldQueue();
    const large = request(1, 0, 90);
    queue.arrive(large);
    expect(queue.arrive(request(2, 0, 11))).toBe("bytes");
    expect(queue.arrive(request(3, 0, 10))).toBeNull();
    queue.ended(large);
    expect(queue.bytes).toBe(10);
  });
});

describe("once the hold is lifted", () => {
  const many = { ...BOUNDS, maxRequests: 100_000, maxAgeMs: 60_000 };

  test("they go in the order in which they came, the first few at once, one more with each that ends", () => {
    const queue = heldQueue(many);
    for (let name = 0; name < 200; name += 1) queue.arrive(request(name));
    queue.set(false, many, 10);
    const { released } = queue.moves(10);
    expect(names(released)).toEqual(Array.from({ length: HOLD_RELEASE_FIRST }, (_, name) => name));
    expect(queue.moves(10).released).toEqual([]);
    for (const one of released.slice(0, 2)) queue.ended(one);
    // Two made room, and two more may run beside them.
    expect(names(queue.moves(11).released)).toEqual([64, 65, 66, 67]);
  });

  test("ten thousand that take long are on their way within a second", () => {
    const queue = heldQueue(many);
    for (let name = 0; name < 10_000; name += 1) queue.arrive(request(name));
    queue.set(false, many, 0);
    let atMs: number | null = 0;
    while (atMs !== null && atMs <= 1_000) atMs = queue.moves(atMs).nextAtMs;
    expect(queue.size).toBe(0);
  });

  test("after a standstill no more go than after one step: nothing was sent that could have ended", () => {
    const queue = heldQueue(many);
    for (let name = 0; name < 1_000; name += 1) queue.arrive(request(name));
    queue.set(false, many, 0);
    expect(queue.moves(0).released).toHaveLength(HOLD_RELEASE_FIRST);
    expect(queue.moves(10 * HOLD_RELEASE_STEP_MS).released).toHaveLength(HOLD_RELEASE_FIRST);
  });

  test("whoever comes meanwhile waits behind those that still do", () => {
    const queue = heldQueue(many);
    for (let name = 0; name < 65; name += 1) queue.arrive(request(name));
    queue.set(false, many, 0);
    queue.moves(0);
    queue.arrive(request(65));
    expect(names(queue.moves(HOLD_RELEASE_STEP_MS).released)).toEqual([64, 65]);
    expect(queue.isEmpty).toBe(true);
  });

  test("and comes again, those that have not gone wait on", () => {
    const queue = heldQueue(many);
    for (let name = 0; name < 65; name += 1) queue.arrive(request(name));
    queue.set(false, many, 0);
    queue.moves(0);
    queue.set(true, many, 1);
    expect(queue.moves(5_000).released).toEqual([]);
    expect(queue.size).toBe(1);
  });
});

/** What may happen to a queue, and to which of the requests that are there. */
const happening = fc.record({
  kind: fc.constantFrom("arrive", "leave", "end", "hold", "lift", "wait"),
  which: fc.nat(20),
  bytes: fc.nat(60),
  ms: fc.nat(400),
});

test("each request that was taken is released, turned away or left, once, within bounds, first in first out", () => {
  fc.assert(
    fc.property(fc.array(happening, { maxLength: 200 }), (happenings) => {
      const queue = heldQueue();
      const waiting: Named[] = [];
      const running: Named[] = [];
      let nowMs = 0;
      let next = 0;
      for (const { kind, which, bytes, ms } of happenings) {
        nowMs += ms;
        if (kind === "hold" || kind === "lift") queue.set(kind === "hold", BOUNDS, nowMs);
        if (kind === "arrive") {
          // Some were on their way when the hold came.
          const one = request(next, nowMs - 40 * which, bytes);
          next += 1;
          const over = queue.arrive(one);
          const kept = waiting.reduce((sum, other) => sum + other.bytes, 0);
          expect(over === null).toBe(waiting.length < BOUNDS.maxRequests && kept + bytes <= BOUNDS.maxBytes);
          if (over === null) waiting.push(one);
        }
        const [left] =
          kind === "leave" ? waiting.splice(which, 1) : kind === "end" ? running.splice(which, 1) : [];
        if (left !== undefined) queue.ended(left);
        const { released, expired } = queue.moves(nowMs);
        for (const one of expired) {
          expect(nowMs - one.arrivedAtMs).toBeGreaterThanOrEqual(BOUNDS.maxAgeMs);
          expect(waiting).toContain(one);
          waiting.splice(waiting.indexOf(one), 1);
        }
        if (queue.isHeld) expect(released).toEqual([]);
        expect(names(waiting.splice(0, released.length))).toEqual(names(released));
        running.push(...released);
        expect(queue.size).toBe(waiting.length);
        for (const one of waiting) expect(nowMs - one.arrivedAtMs).toBeLessThan(BOUNDS.maxAgeMs);
      }
    }),
  );
});
