import { describe, expect, it } from "vitest";
import type { Cost, Judged } from "../judge.ts";
import { parseOptions } from "../options.ts";
import type { SystemName } from "../system.ts";
import { htmlReport } from "./html.ts";
import { type Round, reportOf } from "./report.ts";
import { textReport } from "./text.ts";

const COST: Cost = {
  cpuPercentPerMember: 4,
  cpuMsPerWrite: 20,
  rssBytesPerMember: 120_000_000,
  sentBytesPerHostSecond: 9_000,
  sentBytesPerMemberSecond: 7_000,
  lagP50Ms: 0.5,
  lagP99Ms: 9,
  duplicatesPerWrite: 12,
};

function judged(system: SystemName, lastMs: readonly (number | null)[]): Judged {
  const times = lastMs.filter((ms) => ms !== null);
  const isOurs = system === "ours";
  return {
    system,
    writes: lastMs.map((ms, at) => ({ atMs: 100 * at, lateMs: 0.5, lastMs: ms })),
    eachMs: times,
    lastStoreMs: isOurs ? times : [],
    tableMs: isOurs ? times.map(() => 1) : [],
    lost: lastMs.length - times.length,
    storesLost: 0,
    cost: COST,
    agents: isOurs
      ? { writes: lastMs.length, lost: 0, p50Ms: 5, p99Ms: 20, storesP50Ms: 4, storesP99Ms: 15 }
      : null,
  };
}

const round = (number: number, factor: number): Round => ({
  number,
  systems: [
    judged("ours", [10, 20, 40]),
    judged("streams", [4, 5, 10 * factor]),
    judged("serf", [100, 200, 400]),
  ],
});

const MEASURED = { node: "v24.0.0", payloadBytes: 427 };
const options = parseOptions(["--rounds", "3", "--seconds", "1", "--seed", "3"]);
if (typeof options === "number") throw new Error("refused");
const rounds = [round(1, 1), round(2, 2), round(3, 4)];

describe("reportOf()", () => {
  it("puts all rounds together, and ratios within each", () => {
    const report = reportOf(options, rounds, MEASURED);
    expect(report).toMatchObject({
      seed: 3,
      hosts: 8,
      rounds: 3,
      faults: "none",
      lost: 0,
      writes: 9,
      last: { count: 9, p50Ms: 20, p99Ms: 40, maxMs: 40 },
      floor: { raw: null, streams: { p50Ms: 5, maxMs: 40, lost: 0 } },
      serf: { p50Ms: 200 },
      ratios: {
        lastToStreams: { perRound: [4, 2, 1], median: 2 },
        lastToRaw: { perRound: [], median: null },
        serfToLast: { perRound: [10, 10, 10], median: 10 },
      },
      cost: { ours: COST, raw: null },
    });
    expect(report.perRound[1]).toMatchObject({ round: 2, order: ["ours", "streams", "serf"] });
  });

  it("says how many were lost, and has no spread of none", () => {
    const report = reportOf(options, [{ number: 1, systems: [judged("ours", [null, null])] }], MEASURED);
    expect(report).toMatchObject({ lost: 2, writes: 2, last: null, serf: null });
    expect(textReport(report)).toContain("lost: 2 of 2");
  });

  it("says in words how late writes were, and what others lost", () => {
    const lossy = { number: 1, systems: [judged("ours", [10]), judged("serf", [100, null, null])] };
    const text = textReport(reportOf(options, [lossy], MEASURED));
    expect(text).toMatch(/^due to committed +0\.50 ms/m);
    expect(text).toContain("lost by Serf: 2 of 3");
    expect(text).not.toContain("lost by libp2p streams");
  });
});

describe("htmlReport()", () => {
  const report = reportOf(options, rounds, MEASURED);
  const page = htmlReport(options, report, rounds);

  it("needs nothing from elsewhere and runs nothing", () => {
    expect(page).not.toMatch(/<script|<link|<img|https?:|url\(|@import/);
  });

  it("closes what it opens", () => {
    const open: string[] = [];
    for (const [tag, closing, name = ""] of page.matchAll(/<(\/?)([a-z][a-z0-9]*)\b[^>]*?\/?>/g)) {
      if (tag.endsWith("/>") || name === "meta") continue;
      if (closing === "") open.push(name);
      else expect(open.pop()).toBe(name);
    }
    expect(open).toEqual([]);
  });

  it("draws each system once, each write of ours, and says how to run it again", () => {
    expect(page.match(/<path [^>]*class="curve (\w+)"><title>/g)).toHaveLength(5);
    expect(page.match(/<circle /g)).toHaveLength(9);
    expect(page).toContain("--seed 3");
    expect(page).not.toMatch(/NaN|undefined|Infinity/);
  });

  it("marks a lost write and is not moved by a run in which all were", () => {
    const lost = [{ number: 1, systems: [judged("ours", [null, 12]), judged("streams", [3])] }];
    expect(htmlReport(options, reportOf(options, lost, MEASURED), lost).match(/✕/g)).toHaveLength(1);
    const none = [{ number: 1, systems: [judged("ours", [null])] }];
    expect(htmlReport(options, reportOf(options, none, MEASURED), none)).not.toMatch(
      /NaN|undefined|Infinity/,
    );
  });
});
