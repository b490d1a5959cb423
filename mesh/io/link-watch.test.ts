import { describe, expect, test } from "vitest";
import { KEEPALIVE_INTERVAL_MS, PING_INTERVAL_MS, PINGS_MISSED_MAX } from "../limits.ts";
import { seededRandom } from "../sim/seeded-random.ts";
import { LinkWatch, type WatchStep } from "./link-watch.ts";

const KEEPALIVE_TICKS = KEEPALIVE_INTERVAL_MS / PING_INTERVAL_MS;

/** A watch after a tick in which it was heard; what it does is said to the peer. */
function newWatch(random: () => number = () => 0): { readonly watch: LinkWatch; tick(): WatchStep } {
  const watch = new LinkWatch(random);
  const tick = (): WatchStep => {
    const step = watch.tick();
    if (step === "ping") watch.said();
    return step;
  };
  tick();
  return { watch, tick };
}

/** Until something is to be done, or `max` ticks. */
function ticksUntil(tick: () => WatchStep, wanted: WatchStep, max = 100): number {
  for (let ticks = 1; ticks <= max; ticks += 1) if (tick() === wanted) return ticks;
  return max;
}

describe("a link that is quiet both ways", () => {
  test("is pinged once an interval, and not again when it answers", () => {
    const { watch, tick } = newWatch();
    for (let round = 0; round < 3; round += 1) {
      expect(ticksUntil(tick, "ping")).toBe(KEEPALIVE_TICKS);
      watch.heard();
      expect(tick()).toBe("nothing");
    }
  });

  test("is pinged at its own time: of many that came up together few in one tick", () => {
    const random = seededRandom(7);
    const ticks = Array.from({ length: 100 }, () => ticksUntil(newWatch(random).tick, "ping"));
    expect(new Set(ticks).size).toBeGreaterThan(2);
    expect(Math.max(...ticks)).toBe(KEEPALIVE_TICKS);
    expect(Math.min(...ticks)).toBeGreaterThan(KEEPALIVE_TICKS / 2);
  });

  test("is given up when the ping and those after it stay unanswered, each tick one", () => {
    const { tick } = newWatch();
    ticksUntil(tick, "ping");
    const steps = Array.from({ length: PINGS_MISSED_MAX }, tick);
    expect(steps).toEqual([...Array(PINGS_MISSED_MAX - 1).fill("ping"), "dead"]);
  });
});

describe("a link on which something was said and nothing heard", () => {
  test("is pinged in the next tick, and given up after as many as ever", () => {
    const { watch, tick } = newWatch();
    watch.said();
    expect(tick()).toBe("ping");
    expect(ticksUntil(tick, "dead")).toBe(PINGS_MISSED_MAX);
  });

  test("is in no doubt once anything is heard", () => {
    const { watch, tick } = newWatch();
    watch.said();
    for (let missed = 0; missed < PINGS_MISSED_MAX; missed += 1) expect(tick()).toBe("ping");
    watch.heard();
    expect(tick()).toBe("nothing");
    expect(ticksUntil(tick, "ping")).toBe(KEEPALIVE_TICKS);
  });

  test("needs no ping while each question has its answer within a tick", () => {
    const { watch, tick } = newWatch();
    for (let round = 0; round < 3 * KEEPALIVE_TICKS; round += 1) {
      watch.said();
      watch.heard();
      expect(tick()).toBe("nothing");
    }
  });
});

describe("a link that somebody doubts", () => {
  test("is pinged at once, whatever was heard before, and given up like any", () => {
    const { watch, tick } = newWatch();
    watch.heard();
    expect(watch.doubt()).toBe(true);
    expect(tick()).toBe("ping");
    expect(watch.doubt()).toBe(false);
    expect(ticksUntil(tick, "dead")).toBe(PINGS_MISSED_MAX);
  });

  test("is in no doubt when it answers", () => {
    const { watch, tick } = newWatch();
    watch.doubt();
    watch.heard();
    expect(ticksUntil(tick, "ping")).toBe(KEEPALIVE_TICKS + 1);
  });
});
