import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { appName, memberName, type VmName, vmName, type Weights } from "../../mesh/index.ts";
import { appRoute } from "../testing/app-route.ts";
import type { Choice } from "./pick-endpoint.ts";
import type { AppRoute, Endpoint } from "./route-table.ts";
import { Splits, type Turn, Turns } from "./split.ts";

const APP = appName("hello");

function endpoint(release: number, index: number, over: Partial<Endpoint> = {}): Endpoint {
  return {
    vm: vmName(`hello-v${release}-${index}`),
    app: APP,
    release,
    host: memberName("host-1"),
    address: { host: "127.0.0.1", port: 100 * release + index },
    healthy: true,
    hostAway: false,
    isGated: false,
    drainTimeoutMs: 0,
    ...over,
  };
}

function choice(over: Partial<Choice> = {}): Choice {
  return { tried: new Set(), inFlight: () => 0, isSuspect: () => false, random: () => 0.5, ...over };
}

function route(weights: Weights | null, endpoints: readonly Endpoint[]): AppRoute {
  return appRoute({ app: APP, hostnames: ["hello.localhost"], endpoints, weights });
}

const TEN: Weights = [
  { release: 1, weight: 90 },
  { release: 2, weight: 10 },
];
const BOTH = [endpoint(1, 1), endpoint(1, 2), endpoint(2, 1)];

/** How many of `count` requests went to each release. */
function countOf(splits: Splits, given: AppRoute, count: number): ReadonlyMap<number, number> {
  const counts = new Map<number, number>();
  for (let request = 0; request < count; request += 1) {
    const release = splits.pick(given, null, choice()).endpoint?.release ?? 0;
    counts.set(release, (counts.get(release) ?? 0) + 1);
  }
  return counts;
}

/** Any weights of one release and more, zeros among them. */
const anyWeights = fc
  .array(fc.nat({ max: 100 }), { minLength: 1, maxLength: 4 })
  .filter((parts) => parts.some((part) => part > 0))
  .map((parts): Weights => {
    const sum = parts.reduce((total, part) => total + part, 0);
    const floors = parts.map((part) => Math.floor((100 * part) / sum));
    const rest = 100 - floors.reduce((total, part) => total + part, 0);
    const most = parts.indexOf(Math.max(...parts));
    return floors.map((weight, at) => ({ release: at + 1, weight: at === most ? weight + rest : weight }));
  });
const anyPhase = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true });

describe("Turns", () => {
  test("give each release its share of any run of turns, to within one for each release", () => {
    fc.assert(
      fc.property(anyWeights, anyPhase, fc.nat({ max: 300 }), fc.nat({ max: 1_000 }), (weights, ...rest) => {
        const [phase, before, count] = rest;
        const turns = new Turns(weights, phase);
        const able = weights.filter(({ weight }) => weight > 0);
        for (let turn = 0; turn < before; turn += 1) turns.next(able);
        const given = Array.from({ length: count }, () => turns.next(able));
        for (const { release, weight } of weights) {
          const had = given.filter((one) => one === release).length;
          expect(Math.abs(had - (count * weight) / 100)).toBeLessThan(weights.length);
        }
      }),
    );
  });

  test("are those of a slow oracle that hands each turn to whoever is furthest behind its share", () => {
    fc.assert(
      fc.property(anyWeights, fc.nat({ max: 400 }), (weights, count) => {
        const able = weights.filter(({ weight }) => weight > 0);
        const turns = new Turns(weights, 0);
        const had = new Map<number, number>();
        for (let turn = 1; turn <= count; turn += 1) {
          // All in hundredths, so that a tie is a tie.
          const lacks = able.map(({ release, weight }) => turn * weight - 100 * (had.get(release) ?? 0));
          const due = able[lacks.indexOf(Math.max(...lacks))]?.release as number;
          expect(turns.next(able)).toBe(due);
          had.set(due, (had.get(due) ?? 0) + 1);
        }
      }),
    );
  });

  test("that begin at any phase of the round are, over many proxies, as fair to the first request", () => {
    const firsts = Array.from({ length: 100 }, (_, at) => new Turns(TEN, at / 100).next(TEN));
    expect(firsts.filter((release) => release === 2)).toHaveLength(10);
  });
});

describe("Splits", () => {
  test("of 20,000 requests a tenth, to within two, goes to the release of weight 10, whatever its VMs are", () => {
    for (const phase of [0, 0.37, 0.99]) {
      const counts = countOf(new Splits({ random: () => phase }), route(TEN, BOTH), 20_000);
      expect(Math.abs((counts.get(2) ?? 0) - 2_000)).toBeLessThanOrEqual(1);
      expect((counts.get(1) ?? 0) + (counts.get(2) ?? 0)).toBe(20_000);
    }
  });

  test("go on where they were when the table changes and the weights do not", () => {
    fc.assert(
      fc.property(anyWeights, fc.array(fc.nat({ max: 3 }), { maxLength: 600 }), (weights, changes) => {
        const splits = new Splits({ random: () => 0 });
        const oracle = new Turns(weights, 0);
        const able = weights.filter(({ weight }) => weight > 0);
        for (const change of changes) {
          // Another order of the same weights, and more or fewer VMs of each release.
          const named = change % 2 === 0 ? weights : [...weights].reverse();
          const endpoints = weights.flatMap(({ release }) =>
            Array.from({ length: 1 + change }, (_, index) => endpoint(release, index + 1)),
          );
          const { endpoint: picked } = splits.pick(route(named, endpoints), null, choice());
          expect(picked?.release).toBe(oracle.next(able));
        }
      }),
    );
  });

  test("another try of a request stays with the release that it fell to, and uses nobody's turn", () => {
    const splits = new Splits({ random: () => 0 });
    const given = route(TEN, [endpoint(1, 1), endpoint(2, 1), endpoint(2, 2)]);
    const turn: Turn = { weights: TEN, release: 2 };
    const first = splits.pick(given, turn, choice());
    expect(first.endpoint?.release).toBe(2);
    const tried = new Set<VmName>([first.endpoint?.vm as VmName]);
    const second = splits.pick(given, first.turn, choice({ tried }));
    expect(second.endpoint?.release).toBe(2);
    expect(tried.has(second.endpoint?.vm as VmName)).toBe(false);
    tried.add(second.endpoint?.vm as VmName);
    // Nothing of its own is left: the other takes it.
    expect(splits.pick(given, second.turn, choice({ tried })).endpoint?.release).toBe(1);
    expect(countOf(splits, given, 100).get(2)).toBe(10);
  });

  test("a request that is tried again by other weights falls anew, never to a release that gets nothing now", () => {
    const splits = new Splits({ random: () => 0 });
    const back: Weights = [
      { release: 1, weight: 100 },
      { release: 2, weight: 0 },
    ];
    const turn: Turn = { weights: TEN, release: 2 };
    const { endpoint: picked, turn: next } = splits.pick(route(back, BOTH), turn, choice());
    expect(picked?.release).toBe(1);
    expect(next).toEqual({ weights: back, release: 1 });
  });

  test("a release that cannot be reached yields to the others, and has its share, no more, once it is back", () => {
    const ways: readonly (readonly [Partial<Endpoint>, Partial<Choice>])[] = [
      [{ healthy: false }, {}],
      [{ hostAway: true }, {}],
      [{}, { isSuspect: (vm) => vm === "hello-v2-1" }],
    ];
    for (const [state, known] of ways) {
      const splits = new Splits({ random: () => 0 });
      const broken = route(TEN, [endpoint(1, 1), endpoint(2, 1, state)]);
      for (let request = 0; request < 250; request += 1)
        expect(splits.pick(broken, null, choice(known)).endpoint?.release).toBe(1);
      expect(countOf(splits, route(TEN, BOTH), 1_000).get(2)).toBe(100);
    }
  });

  test("when none is well all are asked by their weights, and a release of weight 0 is not", () => {
    const sick = [1, 2, 3].map((release) => endpoint(release, 1, { healthy: release === 3 }));
    const counts = countOf(new Splits({ random: () => 0 }), route(TEN, sick), 100);
    expect(Object.fromEntries(counts)).toEqual({ 1: 90, 2: 10 });
  });

  test("without weights the releases count by their VMs, and a preview's routes change no split", () => {
    const splits = new Splits({ random: () => 0 });
    const preview = route(null, [endpoint(2, 1)]);
    const releases = Array.from({ length: 100 }, () => {
      expect(splits.pick(preview, null, choice())).toMatchObject({ endpoint: { release: 2 }, turn: null });
      return splits.pick(route(TEN, BOTH), null, choice()).endpoint?.release;
    });
    expect(releases.filter((release) => release === 2)).toHaveLength(10);
  });

  test("never ask one that was tried, and ask one whenever a release with a weight has one left", () => {
    const flags = fc.record({
      release: fc.integer({ min: 1, max: 4 }),
      healthy: fc.boolean(),
      hostAway: fc.boolean(),
      isTried: fc.boolean(),
    });
    fc.assert(
      fc.property(
        anyWeights,
        fc.array(flags, { maxLength: 10 }),
        fc.nat({ max: 5 }),
        anyPhase,
        (weights, all, fell, random) => {
          const endpoints = all.map((one, at) => endpoint(one.release, at, one));
          const tried = new Set(endpoints.flatMap(({ vm }, at) => (all[at]?.isTried ? [vm] : [])));
          const turn = fell === 0 ? null : { weights, release: fell };
          const splits = new Splits({ random: () => random });
          const given = route(weights, endpoints);
          const picked = splits.pick(given, turn, choice({ tried, random: () => random })).endpoint;
          const able = endpoints.filter(
            ({ vm, release }) =>
              !tried.has(vm) && (weights.find((one) => one.release === release)?.weight ?? 0) > 0,
          );
          expect(picked === undefined).toBe(able.length === 0);
          if (picked !== undefined) expect(able).toContain(picked);
        },
      ),
    );
  });
});
