import { describe, expect, it } from "vitest";
import { gossipBytes, judge } from "./judge.ts";
import type { Arrival } from "./protocol.ts";
import type { MemberCost, SystemRun } from "./run-system.ts";

const write = (id: string, host: string, atMs: number) => ({ id, host, dueMs: atMs - 1, atMs });
const arrival = (id: string, storedMs: number | null, inForceMs: number | null = null): Arrival => ({
  id,
  storedMs,
  inForceMs,
});

function run(changes: Partial<SystemRun>): SystemRun {
  return {
    system: "ours",
    writes: [write("a", "host-1", 1_000)],
    arrivals: new Map([
      ["host-1", []],
      ["host-2", [arrival("a", 1_009)]],
      ["proxy-1", [arrival("a", 1_003, 1_004)]],
      ["proxy-2", [arrival("a", 1_005, 1_007)]],
    ]),
    proxies: ["proxy-1", "proxy-2"],
    costs: [],
    fromMs: 900,
    seconds: 1,
    ...changes,
  };
}

describe("judge()", () => {
  it("counts ours to the last proxy's table in force, and to the last store apart", () => {
    const judged = judge(run({}));
    expect(judged.writes).toEqual([{ atMs: 100, lateMs: 1, lastMs: 7 }]);
    expect(judged.eachMs).toEqual([4, 7]);
    expect(judged.lastStoreMs).toEqual([9]);
    expect(judged.tableMs).toEqual([1, 2]);
    expect([judged.lost, judged.storesLost]).toEqual([0, 0]);
  });

  it("counts a floor to the last member that did not write it", () => {
    const judged = judge(run({ system: "raw" }));
    expect(judged.writes[0]?.lastMs).toBe(9);
    expect(judged.eachMs).toEqual([9, 3, 5]);
  });

  it("counts a write that one proxy never routed by as lost, and those that had it still as having it", () => {
    const arrivals = new Map(run({}).arrivals);
    arrivals.set("proxy-2", [arrival("a", 1_005, null)]);
    const judged = judge(run({ arrivals }));
    expect(judged.writes[0]?.lastMs).toBeNull();
    expect([judged.lost, judged.storesLost, judged.eachMs]).toEqual([1, 0, [4]]);
  });

  it("counts a write of which nobody says anything as lost, not as skipped", () => {
    const judged = judge(run({ arrivals: new Map([["proxy-1", []]]), proxies: ["proxy-1"] }));
    expect([judged.lost, judged.storesLost]).toEqual([1, 1]);
  });

  it("takes what came before its writer heard so as having come at once", () => {
    const arrivals = new Map([["host-2", [arrival("a", 999)]]]);
    expect(judge(run({ system: "serf", arrivals })).eachMs).toEqual([0]);
  });

  it("takes costs from the begin to the end of the counted part", () => {
    const books = (atMs: number, cpuMs: number, sentBytes: number, gossip: number) => ({
      usage: { atMs, cpuMs, rssBytes: 100 },
      load: { sentBytes, lag: { p50Ms: cpuMs / 100, p99Ms: 2 } },
      metrics: new Map([
        ["grapevine_mesh_gossip_copies_total", gossip * 4],
        ["grapevine_mesh_gossip_received_total", gossip],
        ["grapevine_mesh_gossip_published_total", gossip],
        ["grapevine_mesh_gossip_published_bytes_total", gossip * 400],
      ]),
    });
    const cost: MemberCost = {
      name: "host-1",
      isHost: true,
      before: books(0, 100, 50, 1),
      after: books(2_000, 300, 4_050, 3),
      settled: new Map(),
    };
    const other = { ...cost, name: "proxy-1", isHost: false, after: books(2_000, 100, 50, 1) };
    const ours = run({ costs: [cost, other] });
    expect(judge(ours).cost).toEqual({
      cpuPercentPerMember: 5,
      cpuMsPerWrite: 200,
      rssBytesPerMember: 100,
      sentBytesPerHostSecond: 2_000,
      sentBytesPerMemberSecond: 1_000,
      lagP50Ms: 3,
      lagP99Ms: 2,
      duplicatesPerWrite: 4,
    });
    expect(gossipBytes(ours)).toBe(400);
  });
});
