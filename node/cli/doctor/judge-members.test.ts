// Facts in, findings out: what a person reads of members, voters, gates, clocks, versions and disks.

import { describe, expect, it } from "vitest";
import { fail, memberName, ok, ownerId } from "../../../mesh/index.ts";
import type { MemberRow } from "../../api/views.ts";
import type { VotersView } from "../../api/voters.ts";
import type { SyncView } from "../../introspection/sync-view.ts";
import type { Finding } from "./finding.ts";
import type { AboutFacts, ClusterFacts, QuorumFacts, ToldFacts } from "./gather-cluster.ts";
import type { ConnectFacts } from "./gather-ports.ts";
import {
  judgeBehind,
  judgeClocks,
  judgeLag,
  judgeProxies,
  judgeReach,
  judgeVersions,
} from "./judge-members.ts";
import { judgeDisks, judgeGates } from "./judge-told.ts";
import { judgeVoters } from "./judge-voters.ts";

type SyncRow = SyncView["members"][number];

function member(name: string, changes: Partial<MemberRow> = {}): MemberRow {
  const role = name.startsWith("proxy") ? "proxy" : "host";
  const said = { api: null, http: null, pid: 7, region: "default", cordoned: false };
  const judged = { state: "alive", forSeconds: 9, why: "", connected: true } as const;
  const addresses = ["/ip4/10.0.0.2/tcp/7946"];
  const row = { name: memberName(name), role, ...said, voter: role === "host", ...judged } as const;
  return { ...row, incarnation: 1, addresses, ...changes };
}

function row(name: string, changes: Partial<SyncRow> = {}): SyncRow {
  const { role, state, forSeconds, why, connected } = member(name);
  return {
    name: memberName(name),
    role,
    owner: ownerId(`12D3KooW${name}`),
    self: name === "host-1",
    state,
    forSeconds,
    why,
    connected,
    reason: null,
    tookMs: 4,
    synced: true,
    behind: [],
    mismatched: [],
    owners: 3,
    entries: 9,
    stale: [],
    lagMs: 12,
    uptimeMs: 9_000,
    describe: [],
    proxy: role === "proxy" ? { serving: true, stale: false, serial: 3 } : null,
    ...changes,
  };
}

const silent = (name: string) =>
  row(name, { reason: "not connected", synced: null, lagMs: null, proxy: null });
const sync = (...members: readonly SyncRow[]): ClusterFacts["sync"] =>
  ok({ askedBy: memberName("host-1"), synced: true, members });
const levels = (findings: readonly Finding[]) => findings.map(({ level }) => level);
const REFUSED = { ok: false, code: "ECONNREFUSED" } as const;

describe("judgeReach()", () => {
  const members = [member("host-1"), member("host-2"), member("proxy-1")];

  it("is one line when all answer, whoever left", () => {
    const facts = { members: [...members, member("host-9", { state: "left" })], connects: new Map() };
    const all = sync(row("host-1"), row("host-2", { tookMs: 31 }), row("proxy-1"));
    expect(judgeReach({ ...facts, sync: all })).toMatchObject([
      { level: "ok", found: "3 of 3 members answer, the slowest host-2 in 31 ms" },
    ]);
  });

  it("names who does not, how that is known, what its port says and what to type", () => {
    const dead = { state: "dead", connected: false, why: "its port is closed", forSeconds: 7 } as const;
    const findings = judgeReach({
      members: [member("host-1"), member("host-2", dead), member("proxy-1", { ...dead, state: "suspect" })],
      sync: sync(row("host-1"), silent("host-2"), silent("proxy-1")),
      connects: new Map<string, ConnectFacts>([
        ["host-2", REFUSED],
        ["proxy-1", { ok: true, ms: 1 }],
      ]),
    });
    expect(levels(findings)).toEqual(["ok", "fail", "warn"]);
    expect(findings[1]).toMatchObject({
      found:
        "host-2 does not answer (not connected), dead for 7.0 s: its port is closed; from here its port is closed",
      means: expect.stringContaining("the machine is on, and no process listens"),
      next: "where host-2 ran: grapevine agent --config FILE; gone for good: grapevine voters remove host-2, then grapevine host forget host-2",
    });
    expect(findings[2]).toMatchObject({
      means: expect.stringContaining("it is stopped, or hangs"),
      next: expect.stringContaining("grapevine proxy exclude proxy-1"),
    });
  });

  it("warns of a link that only the other side can open, and fails when the agent knows nothing", () => {
    const all = sync(row("host-1"), row("host-2"), row("proxy-1"));
    const findings = judgeReach({ members, sync: all, connects: new Map([["host-2", REFUSED]]) });
    expect(findings[1]).toMatchObject({
      level: "warn",
      found: "host-2 answers, but its port is closed at /ip4/10.0.0.2/tcp/7946",
    });
    expect(levels(judgeReach({ members, sync: fail("no answer in time"), connects: null }))).toEqual([
      "fail",
    ]);
  });
});

describe("judgeVoters()", () => {
  const NAMES = ["host-1", "host-2", "host-3"];
  const list = (...away: readonly string[]): VotersView => ({
    list: 1,
    settled: true,
    restoring: false,
    voters: NAMES.map((name) => ({
      id: name,
      name: memberName(name),
      connected: !away.includes(name),
      state: "alive",
    })),
  });
  const read: QuorumFacts = { kind: "answers", by: memberName("host-1"), tookMs: 5, apps: 2 };
  const judge = (voters: VotersView, quorum: QuorumFacts, rows = NAMES.map((name) => row(name))) =>
    judgeVoters({
      voters: ok(voters),
      quorum,
      sync: sync(...rows),
      members: NAMES.map((name) => member(name)),
    });

  it("counts them: all, one missing, a majority missing, and names who is", () => {
    expect(judge(list(), read)).toMatchObject([
      { level: "ok", found: "3 of 3 voters live, 2 decide; a read at a majority took 5 ms (host-1)" },
    ]);
    expect(judge(list("host-2"), read)).toMatchObject([
      {
        level: "warn",
        found: expect.stringContaining("2 of 3 voters live, 2 decide; missing: host-2"),
        means: expect.stringContaining("the next voter that goes stops all deploys"),
      },
    ]);
    const refused = { kind: "refused", reason: "no majority of the voters answers" } as const;
    expect(judge(list("host-2", "host-3"), refused)).toMatchObject([
      {
        level: "fail",
        found: expect.stringContaining("no quorum: 1 of 3 voters live, 2 decide; missing: host-2, host-3"),
        next: expect.stringContaining("start the agents of host-2, host-3"),
      },
    ]);
  });

  it("does not count one that is connected and says nothing, nor believe links where a read was refused", () => {
    const frozen = [row("host-1"), silent("host-2"), silent("host-3")];
    expect(judge(list(), { kind: "unknown", reason: "no answer in time" }, frozen)[0]?.level).toBe("fail");
    expect(judge(list(), { kind: "refused", reason: "disk" })[0]).toMatchObject({ level: "fail" });
    expect(judge(list(), { kind: "unknown", reason: "not found" })[0]).toMatchObject({ level: "warn" });
  });

  it("tells of a cluster without voters, a lost memory, and a list that is not settled", () => {
    const none = { ...list(), list: null, voters: [] };
    expect(judge(none, { kind: "refused", reason: "no voters" })).toMatchObject([
      { level: "fail", next: expect.stringContaining("grapevine voters init") },
    ]);
    const members = [member("host-1"), member("host-2", { voter: false }), member("host-3")];
    const facts = { quorum: read, sync: sync(...NAMES.map((name) => row(name))), members };
    const findings = judgeVoters({ ...facts, voters: ok({ ...list(), settled: false }) });
    expect(levels(findings)).toEqual(["ok", "warn", "warn"]);
    expect(findings[1]?.next).toBe("grapevine voters remove host-2, then grapevine voters add host-2");
    expect(levels(judgeVoters({ ...facts, voters: fail("hangs") }))).toEqual(["fail"]);
  });
});

it("judgeBehind() and judgeLag() name who lacks what and who is starved", () => {
  const calm = { sync: sync(row("host-1"), row("host-2")) };
  expect([...judgeBehind(calm), ...judgeLag(calm)]).toMatchObject([
    { level: "ok", found: "2 members that answer hold the same" },
    { level: "ok", found: "event loops were at most 12 ms late in the last ten seconds" },
  ]);
  const version = { incarnation: 1, startId: 2, counter: 3, text: "1.2.3" };
  const lacks = [
    { owner: ownerId("12D3KooWx"), name: memberName("host-3"), writes: 12, held: null, newest: version },
  ];
  const busy = { sync: sync(row("host-1"), row("host-2", { synced: false, behind: lacks, lagMs: 20_000 })) };
  expect([...judgeBehind(busy), ...judgeLag(busy)]).toMatchObject([
    {
      level: "warn",
      found: "host-2 lacks 12 of host-3",
      next: expect.stringContaining("diff host-1 host-2"),
    },
    { level: "warn", found: "the event loop of host-2 was 20 s late in the last ten seconds" },
  ]);
});

it("judgeProxies() tells one that does not serve from one that is stale", () => {
  const shut = row("proxy-1", { proxy: { serving: false, stale: false, serial: 0 } });
  const stale = row("proxy-2", { proxy: { serving: true, stale: true, serial: 4 } });
  const findings = judgeProxies(sync(row("host-1"), shut, stale, row("proxy-3")));
  expect(levels(findings)).toEqual(["ok", "fail", "warn"]);
  expect(findings[0]?.found).toBe("1 of 3 serve by what the voters say");
  expect(levels(judgeProxies(sync(row("host-1"))))).toEqual(["warn"]);
});

const ABOUT: AboutFacts = {
  node: "v24.21.0",
  grapevine: "0.1.0",
  commit: "b2f9354000",
  wire: 1,
  hasGate: true,
  clockMs: 2,
  clockErrorMs: 5,
};

function told(
  name: string,
  about: Partial<AboutFacts> = {},
  metrics: Record<string, number> = {},
): ToldFacts {
  const role = name.startsWith("proxy") ? "proxy" : "host";
  return {
    name,
    role,
    about: ok({ ...ABOUT, ...about }),
    metrics: ok(new Map(Object.entries(metrics))),
  };
}

describe("judgeClocks()", () => {
  it("compares with the agent that was asked, whatever the clock of the one who asks", () => {
    const off = { clockMs: -90_000 };
    expect(judgeClocks([told("host-1", off), told("host-2", off)], "host-1")).toMatchObject([
      { level: "ok", found: "clocks of 1 other member are within 10 ms of host-1's" },
    ]);
  });

  it("warns of one that is surely apart, says which way and what depends on it, and never fails", () => {
    const findings = judgeClocks([told("host-1"), told("host-2", { clockMs: -89_998 })], "host-1");
    expect(findings).toMatchObject([
      {
        level: "warn",
        found: "the clock of host-2 is 90 s behind host-1's, give or take 10 ms",
        means: expect.stringMatching(/^no step rests on a clock/),
        next: "on host-2: timedatectl set-ntp true",
      },
    ]);
    const slow = told("host-2", { clockMs: 3_000, clockErrorMs: 2_500 });
    expect(levels(judgeClocks([told("host-1"), slow], "host-1"))).toEqual(["ok"]);
  });
});

it("judgeVersions() counts one cut, names the members of several, and fails when they cannot speak", () => {
  expect(judgeVersions([told("host-1"), told("host-2")])).toMatchObject([
    {
      level: "ok",
      found: "Grapevine 0.1.0 at b2f9354000, wire 1 (2 members); Node v24.21.0 (2 members)",
    },
  ]);
  const older = told("host-2", { grapevine: null, commit: null, wire: null });
  expect(judgeVersions([told("host-1"), older])).toMatchObject([
    { level: "warn", found: expect.stringContaining("an earlier cut, which does not say (host-2)") },
  ]);
  expect(levels(judgeVersions([told("host-1"), told("host-2", { wire: 3 })]))).toEqual(["fail"]);
});

it("judgeGates() and judgeDisks() go by what each member counts", () => {
  const up = { grapevine_gate_up: 1, grapevine_gate_disk_failing: 0 };
  const fine = [told("host-1", {}, up), told("host-2", {}, up)];
  expect([...judgeGates(fine), ...judgeDisks(fine)].map(({ level }) => level)).toEqual(["ok", "ok"]);
  const bad = [
    told("host-1", {}, { grapevine_gate_up: 0 }),
    told("host-2", {}, { ...up, grapevine_gate_disk_failing: 1, grapevine_mesh_snapshot_failed_total: 3 }),
    told(
      "host-3",
      { hasGate: false },
      { grapevine_gate_up: 0, grapevine_register_register_disk_failed_total: 1 },
    ),
  ];
  expect([...judgeGates(bad), ...judgeDisks(bad)]).toMatchObject([
    { level: "ok", found: "1 of 2 hosts that answer and have one hear their gate" },
    { level: "fail", found: "no gate speaks to the agent of host-1" },
    { level: "fail", found: "the gate of host-2 cannot write down what it closes" },
    { level: "ok", found: "1 member had no write fail since their start" },
    { level: "warn", found: "host-2 failed to write since its start: 3 snapshots" },
    { level: "warn", found: "host-3 failed to write since its start: 1 answer as a voter" },
  ]);
});
