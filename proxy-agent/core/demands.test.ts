import { describe, expect, test } from "vitest";
import { appName, QUIET_KEPT_MS, QUIET_REPEAT_MS } from "../../mesh/index.ts";
import { appRoute } from "../testing/app-route.ts";
import { Demands, NOT_QUIET_REPEAT_MS } from "./demands.ts";
import { type AppRoute, NOT_HELD } from "./route-table.ts";

const HELLO = appName("hello");

function route(state: "awake" | "asleep" | "restless"): AppRoute {
  return appRoute({
    hold: state === "asleep" ? { ...NOT_HELD, by: "idle" } : NOT_HELD,
    ...(state === "restless" ? {} : { idleAfterMs: 5_000 }),
  });
}

function demandsOf(state: Parameters<typeof route>[0]): Demands {
  const demands = new Demands();
  adopt(demands, state, 1_000);
  return demands;
}

function adopt(demands: Demands, state: Parameters<typeof route>[0], nowMs: number): void {
  demands.adopt({ apps: new Map([[HELLO, route(state)]]) }, nowMs);
}

const quiet = (quietMs: number) => [{ app: HELLO, wanted: 0, quietMs }];

describe("an app that may sleep", () => {
  test("is quiet once nobody asked for long enough since we began to look, and that is said again", () => {
    const demands = demandsOf("awake");
    expect(demands.dueAtMs(1_000)).toBe(6_000);
    expect(demands.takeDue(5_999)).toEqual([]);
    expect(demands.takeDue(6_000)).toEqual(quiet(5_000));
    expect(demands.dueAtMs(6_000)).toBe(6_000 + QUIET_REPEAT_MS);
    expect(demands.takeDue(6_000 + QUIET_REPEAT_MS)).toEqual(quiet(5_000 + QUIET_REPEAT_MS));
  });

  test("is not quiet while a request runs, and then anew from its end", () => {
    const demands = demandsOf("awake");
    const { underWay } = demands.began(route("awake"), 2_000);
    expect(demands.takeDue(60_000)).toEqual([]);
    expect(demands.ended(underWay, 60_000)).toBe(65_000);
    expect(demands.takeDue(65_000)).toEqual(quiet(5_000));
  });

  test("is not quiet while a request runs that began before it might sleep", () => {
    const demands = demandsOf("restless");
    const { underWay } = demands.began(route("restless"), 2_000);
    adopt(demands, "awake", 3_000);
    expect(demands.takeDue(60_000)).toEqual([]);
    expect(demands.ended(underWay, 60_000)).toBe(65_000);
    expect(demands.takeDue(65_000)).toEqual(quiet(5_000));
  });

  test("is quiet long enough after it may sleep, however long ago it was asked for last", () => {
    const demands = demandsOf("restless");
    demands.ended(demands.began(route("restless"), 1_000).underWay, 1_001);
    adopt(demands, "awake", 60_000);
    expect(demands.takeDue(64_999)).toEqual([]);
    expect(demands.takeDue(65_000)).toEqual(quiet(5_000));
  });

  test("that was said to be quiet is said not to be by the first request, and by no other", () => {
    const demands = demandsOf("awake");
    demands.takeDue(6_000);
    expect([1, 2].map(() => demands.began(route("awake"), 7_000).news)).toEqual(["not-quiet", null]);
    expect(demands.demandOf(route("awake"), 7_000)).toEqual([{ app: HELLO, wanted: 0, quietMs: null }]);
  });

  test("that was said to be quiet is said not to be again while a request runs, as long as that word may count", () => {
    const demands = demandsOf("awake");
    demands.takeDue(6_000);
    const { underWay } = demands.began(route("awake"), 7_000);
    const said: number[] = [];
    let nowMs = 7_000;
    for (let dueAtMs = demands.dueAtMs(nowMs); dueAtMs < 60_000; dueAtMs = demands.dueAtMs(nowMs)) {
      nowMs = dueAtMs;
      const told = demands.takeDue(nowMs);
      if (told.length > 0) said.push(nowMs);
      for (const { quietMs } of told) expect(quietMs).toBeNull();
    }
    expect(said[0]).toBe(7_000 + NOT_QUIET_REPEAT_MS);
    expect(said.at(-1)).toBeGreaterThanOrEqual(6_000 + QUIET_KEPT_MS);
    expect(demands.ended(underWay, 60_000)).toBe(65_000);
  });

  test("is said not to be quiet by a second request too, if the first ended before that could be lost in vain", () => {
    const demands = demandsOf("awake");
    demands.takeDue(6_000);
    demands.ended(demands.began(route("awake"), 7_000).underWay, 7_100);
    expect(demands.began(route("awake"), 7_200)).toMatchObject({
      news: null,
      dueAtMs: 7_000 + NOT_QUIET_REPEAT_MS,
    });
    expect(demands.takeDue(8_000)).toEqual([{ app: HELLO, wanted: 0, quietMs: null }]);
  });

  test("that sleeps is wanted by the first that comes, until none waits, or it does not sleep any more", () => {
    const demands = demandsOf("asleep");
    const first = demands.began(route("asleep"), 2_000);
    const second = demands.began(route("asleep"), 2_000);
    expect([first.news, second.news]).toEqual(["wanted", null]);
    demands.ended(first.underWay, 3_000);
    expect(demands.wanted(3_000)).toEqual([{ app: HELLO, wanted: 1, quietMs: null }]);
    adopt(demands, "awake", 3_000);
    expect(demands.wanted(3_000)).toEqual([]);
    adopt(demands, "asleep", 4_000);
    demands.ended(second.underWay, 4_000);
    expect(demands.wanted(4_000)).toEqual([]);
  });

  test("is wanted by what was under way when it fell asleep", () => {
    const demands = demandsOf("awake");
    demands.began(route("awake"), 2_000);
    adopt(demands, "asleep", 3_000);
    expect(demands.wanted(3_000)).toEqual([{ app: HELLO, wanted: 1, quietMs: null }]);
  });

  test("says nothing while it sleeps, nor once a release of it never does", () => {
    const demands = demandsOf("asleep");
    expect(demands.dueAtMs(2_000)).toBe(Number.POSITIVE_INFINITY);
    adopt(demands, "restless", 2_000);
    expect(demands.began(route("restless"), 2_000)).toMatchObject({ news: null });
    expect(demands.dueAtMs(2_000)).toBe(Number.POSITIVE_INFINITY);
  });
});
