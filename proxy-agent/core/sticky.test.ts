import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { type AppRecord, appName, type CommittedApp, type VmPhase, vmName } from "../../mesh/index.ts";
import { appRecord, desiredVm } from "../testing/cluster.ts";
import { type ClientCookie, readClientCookies, setClientCookie, stickyClient } from "./client-cookies.ts";
import type { Choice } from "./pick-endpoint.ts";
import type { Endpoint } from "./route-table.ts";
import { clientsRouteOf, PLACES, pickSticky, placeOf, type StickyRoute } from "./sticky.ts";

const APP = appName("hello");

function sticky(record: AppRecord): StickyRoute {
  const route = clientsRouteOf(record, []);
  if (route?.mode !== "sticky") throw new Error("not sticky");
  return route;
}

interface Counts {
  readonly old: number;
  readonly next: number;
  /** Percent of the new release; null: each VM counts alike. */
  readonly weight: number | null;
  readonly backs?: number;
}

function recordOf({ old, next, weight, backs = 0 }: Counts): AppRecord {
  const vms = [
    ...Array.from({ length: old }, (_, index) => desiredVm(`hello-v1-${index + 1}`)),
    ...Array.from({ length: next }, (_, index) => desiredVm(`hello-v2-${index + 1}`)),
  ];
  const weights = [
    { release: 1, weight: 100 - (weight ?? 0) },
    { release: 2, weight: weight ?? 0 },
  ];
  const isSplit = weight !== null && old > 0 && next > 0;
  return appRecord({ vms, cutover: "sticky", backs, ...(isSplit ? { weights } : {}) });
}

function endpoints({ vms }: AppRecord, over: Partial<Endpoint> = {}): readonly Endpoint[] {
  return vms.map(({ vm, release, host }, index) => {
    const address = { host: "127.0.0.1", port: index + 1 };
    const health = { healthy: true, hostAway: false, isGated: false, drainTimeoutMs: 0 };
    return { vm, app: APP, release, host, address, ...health, ...over };
  });
}

function choice(over: Partial<Choice> = {}): Choice {
  return { tried: new Set(), inFlight: () => 0, isSuspect: () => false, random: () => 0.5, ...over };
}

/** A client as browsers are: what it is told to keep it shows, what it is told to drop it does not. */
class Jar {
  readonly #held = new Map<string, string>();

  take(lines: readonly string[]): void {
    for (const line of lines) {
      const [pair = "", ...attributes] = line.split("; ");
      const [name = "", value = ""] = pair.split("=");
      if (attributes.includes("Max-Age=0")) this.#held.delete(name);
      else this.#held.set(name, value);
    }
  }

  get shown(): readonly ClientCookie[] {
    const pairs = ["theme=dark", ...[...this.#held].map(([name, value]) => `${name}=${value}`)];
    return readClientCookies(["Cookie", pairs.join("; ")], APP);
  }
}

/** One request through a proxy that goes by this record: what answered, and what its client takes home. */
function request(
  { epoch, record }: CommittedApp,
  cookies: readonly ClientCookie[],
  { place, isWell }: { readonly place: number; readonly isWell: (endpoint: Endpoint) => boolean },
): { readonly release: number | null; readonly lines: readonly string[] } {
  const route = sticky(record);
  const client = stickyClient(cookies, route, place);
  const seen = endpoints(record).map((endpoint) => ({ ...endpoint, healthy: isWell(endpoint) }));
  const endpoint = pickSticky({ clients: route, endpoints: seen }, client, choice());
  if (endpoint === undefined) return { release: null, lines: [] };
  const { release } = endpoint;
  const cookie = { app: APP, epoch, release, sticky: { backs: route.backs, place: client.place } };
  return { release, lines: setClientCookie(cookie, cookies, 0) };
}

describe("a sticky client", () => {
  const anyStep = fc.record({
    old: fc.integer({ min: 0, max: 4 }),
    next: fc.integer({ min: 0, max: 4 }),
    weight: fc.option(fc.integer({ min: 0, max: 100 }), { nil: null }),
  });
  /** Weights only rise, from 1 on once the new release had any share; counts of VMs come and go, and where it has served it serves on. */
  const anyHistory = fc
    .array(anyStep, { minLength: 2, maxLength: 10 })
    .map((steps): readonly CommittedApp[] => {
      const weights = steps.flatMap(({ weight }) => weight ?? []).sort((left, right) => left - right);
      let hasShare = false;
      return steps.map(({ old, next, weight: given }, index) => {
        const most = Math.max(next, hasShare || old + next === 0 ? 1 : 0);
        const risen = given === null ? null : (weights.shift() ?? 0);
        const weight = risen === null ? null : Math.max(risen, hasShare ? 1 : 0);
        hasShare ||= most > 0 && (weight !== 0 || old === 0);
        return { epoch: index + 1, record: recordOf({ old, next: most, weight }) };
      });
    });
  /** Requests that a client has under way at once: each through a proxy that is so far behind, answered in this order. */
  const anyBatch = fc.array(
    fc.record({
      lag: fc.nat({ max: 9 }),
      order: fc.nat({ max: 9 }),
      place: fc.nat({ max: PLACES - 1 }),
      sick: fc.nat({ max: 3 }),
    }),
    { minLength: 1, maxLength: 4 },
  );

  test("sees no old release after a new one, by whatever weights that rise, VMs that come and go, proxies that are behind", () => {
    fc.assert(
      fc.property(anyHistory, fc.array(anyBatch, { minLength: 2, maxLength: 12 }), (history, batches) => {
        const jar = new Jar();
        let seen = 0;
        for (const [index, batch] of batches.entries()) {
          const newest = Math.min(history.length, 1 + Math.floor((index * history.length) / batches.length));
          const cookies = jar.shown;
          const latest = Math.max(1, ...cookies.map(({ epoch }) => epoch));
          const answers = batch.map(({ lag, order, place, sick }) => {
            // As far behind as it is, it has caught up with what its client shows.
            const committed = history[Math.max(latest, newest - lag) - 1] as CommittedApp;
            const isWell = (endpoint: Endpoint) => endpoint.release !== sick;
            return { order, ...request(committed, cookies, { place, isWell }) };
          });
          for (const { release } of answers) expect(release ?? 0).toBeGreaterThanOrEqual(seen);
          for (const { release, lines } of answers.toSorted((left, right) => left.order - right.order)) {
            jar.take(lines);
            seen = Math.max(seen, release ?? 0);
          }
        }
      }),
      { numRuns: 2_000 },
    );
  });

  test("that was in at a weight is in at every larger one, on every proxy, without a cookie too", () => {
    const [low, high] = [
      recordOf({ old: 3, next: 1, weight: 10 }),
      recordOf({ old: 3, next: 1, weight: 50 }),
    ];
    fc.assert(
      fc.property(fc.nat({ max: PLACES - 1 }), (place) => {
        const [at10, at50] = [low, high].map((record) => {
          return pickSticky(
            { clients: sticky(record), endpoints: endpoints(record) },
            { place, floor: null },
            choice(),
          );
        });
        expect(at10?.release).toBe(place < 1_000 ? 2 : 1);
        expect(at50?.release).toBe(place < 5_000 ? 2 : 1);
      }),
    );
  });

  test("goes by the count of VMs where nothing is weighed, and is not sent back where that falls", () => {
    const quarter = sticky(recordOf({ old: 3, next: 1, weight: null }));
    expect(quarter.shares).toEqual([
      { release: 2, end: 2_500 },
      { release: 1, end: 10_000 },
    ]);
    const record = recordOf({ old: 3, next: 1, weight: null });
    const held = { place: 4_000, floor: 2 };
    expect(
      pickSticky({ clients: sticky(record), endpoints: endpoints(record) }, held, choice())?.release,
    ).toBe(2);
  });

  test("waits for its own release rather than see the old one, and takes what is well while it has seen none", () => {
    const record = recordOf({ old: 1, next: 1, weight: 50 });
    const all = endpoints(record).map((endpoint) => ({ ...endpoint, healthy: endpoint.release === 1 }));
    const pick = (floor: number | null, tried: readonly string[] = []) =>
      pickSticky(
        { clients: sticky(record), endpoints: all },
        { place: 0, floor },
        choice({ tried: new Set(tried.map(vmName)) }),
      )?.release;
    expect(pick(null)).toBe(1);
    expect(pick(2)).toBe(2);
    expect(pick(2, ["hello-v2-1"])).toBeUndefined();
  });

  test("may go back once a person gave the new release less, or a rollout goes back", () => {
    const cookie: ClientCookie = { app: APP, epoch: 4, release: 2, sticky: { backs: 0, place: 3_000 } };
    const less = sticky(recordOf({ old: 1, next: 1, weight: 10, backs: 1 }));
    expect(stickyClient([cookie], less, 0)).toEqual({ place: 3_000, floor: null });
    const record = recordOf({ old: 3, next: 1, weight: null });
    const rollout = { ...baking(record), direction: "back" } as const;
    const back = sticky({ ...record, rollout });
    expect(back.top).toBe(1);
    const held = stickyClient([cookie], back, 0);
    expect(held.floor).toBe(2);
    expect(pickSticky({ clients: back, endpoints: endpoints(record) }, held, choice())?.release).toBe(1);
    // As does a deploy of the old release anew, which is what a rollback is later.
    const anew = sticky({ ...record, rollout: { ...rollout, direction: "forward", from: 2, to: 1 } });
    expect(anew.top).toBe(1);
    expect(sticky({ ...record, rollout: { ...rollout, direction: "forward" } }).top).toBeNull();
    // Whoever is back stays there, also where the count of VMs says otherwise for a moment.
    const returned = { place: 0, floor: 1 };
    expect(pickSticky({ clients: back, endpoints: endpoints(record) }, returned, choice())?.release).toBe(1);
  });

  test("is promised it from the deploy of the release that says so on, and in the way back from it", () => {
    const vms = [desiredVm("hello-v1-1"), desiredVm("hello-v2-1", "cordoned" satisfies VmPhase)];
    const mixed = appRecord({ vms, cutover: "sticky" });
    const [first, second] = mixed.releases;
    if (first === undefined || second === undefined) throw new Error("two releases");
    const { cutover: _cutover, ...fast } = first.spec.deploy;
    const old = { ...first, spec: { ...first.spec, deploy: fast } };
    expect(clientsRouteOf({ ...mixed, releases: [old, second] }, [])?.mode).toBe("sticky");
    expect(clientsRouteOf({ ...mixed, vms: vms.slice(0, 1), releases: [old, second] }, [])).toBeNull();
  });

  test("has a place of its own, as evenly as others have", () => {
    const places = Array.from({ length: 10_000 }, (_, index) =>
      placeOf(["hello", `10.0.${index >> 8}.${index % 256}`, ""]),
    );
    const below = places.filter((place) => place < 1_000).length;
    expect(Math.abs(below - 1_000)).toBeLessThan(150);
    expect(placeOf(["hello", "10.0.0.1", "a"])).toBe(placeOf(["hello", "10.0.0.1", "a"]));
  });
});

function baking(record: AppRecord): NonNullable<AppRecord["rollout"]> {
  const { rollout } = appRecord({ vms: record.vms, bakes: 1 });
  if (rollout === null) throw new Error("no rollout");
  return rollout;
}
