import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { appName, memberName, noWaits, type ReleaseCounts } from "../../../../mesh/index.ts";
import { HeardCounts } from "./heard-counts.ts";

const releaseCounts = fc
  .record({
    release: fc.integer({ min: 1, max: 3 }),
    requests: fc.nat(),
    errors: fc.nat(),
    bucket: fc.nat({ max: 64 }),
  })
  .map(({ release, requests, errors, bucket }): ReleaseCounts => {
    return { release, requests, errors, waits: noWaits().with(bucket, requests) };
  });
const tellings = fc.array(
  fc.record({
    proxy: fc.constantFrom("proxy-1", "proxy-2"),
    startId: fc.nat({ max: 20 }).map(String),
    releases: fc.uniqueArray(releaseCounts, { maxLength: 3, selector: ({ release }) => release }),
  }),
  { maxLength: 60 },
);

describe("HeardCounts", () => {
  it("has the sums of what each start told last, of so many starts of each proxy", () => {
    fc.assert(
      fc.property(tellings, (told) => {
        const heard = new HeardCounts();
        const last = new Map<string, readonly ReleaseCounts[]>();
        for (const { proxy, startId, releases } of told) {
          const ofProxy = [...last.keys()].filter((key) => key.startsWith(proxy));
          const key = `${proxy} ${startId}`;
          if (last.has(key) || ofProxy.length < 16) last.set(key, releases);
          const counts = { app: appName("hello"), rollout: "hello-v2", step: 4, releases };
          heard.take(memberName(proxy), startId, counts);
        }
        for (const number of [1, 2, 3]) {
          const all = [...last.values()].flat().filter(({ release }) => release === number);
          const sum = (of: (one: ReleaseCounts) => number) => all.reduce((total, one) => total + of(one), 0);
          const held = [...heard.sums()].find(({ release }) => release === number);
          expect(held?.requests ?? 0).toBe(sum(({ requests }) => requests));
          expect(held?.errors ?? 0).toBe(sum(({ errors }) => errors));
          for (let bucket = 0; bucket <= 64; bucket += 8)
            expect(held?.waits[bucket] ?? 0).toBe(sum(({ waits }) => waits[bucket] ?? 0));
        }
      }),
      { numRuns: 50 },
    );
  });

  it("says whether something was news", () => {
    const heard = new HeardCounts();
    const counts = { app: appName("hello"), rollout: "hello-v2", step: 4, releases: [] };
    expect(heard.has(memberName("proxy-1"))).toBe(false);
    expect(heard.take(memberName("proxy-1"), "a", counts)).toBe(true);
    expect(heard.take(memberName("proxy-1"), "a", counts)).toBe(false);
    expect(heard.has(memberName("proxy-1"))).toBe(true);
    heard.clear();
    expect(heard.has(memberName("proxy-1"))).toBe(false);
  });
});
