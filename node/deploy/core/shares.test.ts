import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  type AppRecord,
  appName,
  type DesiredVm,
  memberName,
  vmName,
  type Weights,
} from "../../../mesh/index.ts";
import { sharesOf, splitFault, withSoundWeights } from "./shares.ts";

function vm(release: number, index: number, phase: DesiredVm["phase"] = "serving"): DesiredVm {
  return {
    vm: vmName(`hello-v${release}-${index}`),
    release,
    host: memberName("host-1"),
    phase,
    requires: null,
  };
}

function record(vms: readonly DesiredVm[], weights?: Weights): AppRecord {
  return {
    format: 1,
    app: appName("hello"),
    deleted: false,
    hostnames: ["hello.localhost"],
    releases: [],
    current: 1,
    lastRelease: 4,
    vms,
    ...(weights === undefined ? {} : { weights }),
    rollout: null,
  };
}

const anyVms = fc.array(
  fc.record({
    release: fc.integer({ min: 1, max: 4 }),
    phase: fc.constantFrom("starting", "standby", "serving", "cordoned"),
  }),
  { maxLength: 12 },
);
const anyWeights = fc
  .uniqueArray(fc.integer({ min: 1, max: 4 }), { minLength: 1, maxLength: 4 })
  .chain((releases) =>
    fc
      .array(fc.nat({ max: 100 }), { minLength: releases.length - 1, maxLength: releases.length - 1 })
      .map((cuts): Weights => {
        const sorted = [0, ...cuts.sort((left, right) => left - right), 100];
        return releases.map((release, at) => ({
          release,
          weight: (sorted[at + 1] ?? 100) - (sorted[at] ?? 0),
        }));
      }),
  );

describe("withSoundWeights()", () => {
  it("leaves weights of releases that serve, two at least, that sum to 100, and scales by what was", () => {
    fc.assert(
      fc.property(anyVms, anyWeights, (all, weights) => {
        const vms = all.map(({ release, phase }, at) => vm(release, at + 1, phase));
        const before = record(vms, weights);
        const { weights: sound } = withSoundWeights(before);
        const serving = new Set(vms.filter(({ phase }) => phase === "serving").map(({ release }) => release));
        const left = weights.filter(({ release }) => serving.has(release));
        const sum = left.reduce((total, { weight }) => total + weight, 0);
        expect(sound === undefined).toBe(serving.size < 2 || sum === 0);
        if (sound === undefined) return;
        expect(sound.map(({ release }) => release)).toEqual(left.map(({ release }) => release));
        expect(sound.reduce((total, { weight }) => total + weight, 0)).toBe(100);
        for (const [at, { weight }] of sound.entries()) {
          const was = left[at]?.weight ?? 0;
          if (was === 0) expect(weight).toBe(0);
          expect(Math.abs(weight - (100 * was) / sum)).toBeLessThan(left.length);
        }
        expect(withSoundWeights({ ...before, weights: sound }).weights).toBe(sound);
      }),
    );
  });
});

describe("sharesOf()", () => {
  it("are by weight where there are weights, else by the count of VMs, and sum to 100 where anything serves", () => {
    const vms = [vm(1, 1), vm(1, 2), vm(2, 1), vm(3, 1, "cordoned")];
    expect(sharesOf(record(vms))).toEqual([
      { release: 1, weight: 66 },
      { release: 2, weight: 34 },
    ]);
    const split: Weights = [
      { release: 2, weight: 10 },
      { release: 1, weight: 90 },
    ];
    expect(sharesOf(record(vms, split)).map(({ weight }) => weight)).toEqual([90, 10]);
    expect(sharesOf(record([vm(3, 1, "cordoned")]))).toEqual([]);
    expect(splitFault(record(vms))).toBeNull();
    expect(splitFault(record(vms, split))).toBe(
      'requests of hello are split, v1=90 v2=10: say first which of them it is, with "grapevine traffic set hello v1=100" or "grapevine traffic set hello v2=100"',
    );
  });
});
