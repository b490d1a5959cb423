// Judge members: who is reached, who is behind or starved, whose clock or version differs, judged from facts alone.

import type { Result } from "../../../mesh/index.ts";
import type { MemberRow } from "../../api/views.ts";
import { counted } from "../../deploy/core/describe.ts";
import type { SyncView } from "../../introspection/sync-view.ts";
import { DOCTOR_CLOCK_MS, DOCTOR_LAG_MS } from "../../limits.ts";
import { formatDuration } from "../table.ts";
import { type Finding, failure, fine, warning } from "./finding.ts";
import type { AboutFacts, ClusterFacts, ToldFacts } from "./gather-cluster.ts";
import type { ConnectFacts } from "./gather-ports.ts";

type SyncRow = SyncView["members"][number];
/** Of a release and the one before it. */
const WIRES_APART_MAX = 1;
const COMMIT_CHARS = 10;

/** One line for all that answer, and one for each that does not. */
export function judgeReach({
  members,
  sync,
  connects,
}: Pick<ClusterFacts, "members" | "sync" | "connects">): readonly Finding[] {
  if (!sync.ok)
    return [
      failure("reach", {
        found: `the agent did not say whom it reaches: ${sync.error}`,
        means: "it is overloaded, or it hangs",
        next: "its log; `grapevine status --hosts` once more",
      }),
    ];
  const rows = new Map(sync.value.members.map((row) => [row.name, row]));
  const present = members.filter(({ state }) => state !== "left");
  const reached = present.flatMap((member) => {
    const row = rows.get(member.name);
    return row?.reason === null ? [{ member, row }] : [];
  });
  const silent = present.filter(({ name }) => rows.get(name)?.reason !== null);
  const slowest = reached
    .map(({ row }) => row)
    .reduce<SyncRow | null>(
      (worst, row) => (worst === null || row.tookMs > worst.tookMs ? row : worst),
      null,
    );
  const took = slowest === null ? "" : `, the slowest ${slowest.name} in ${slowest.tookMs} ms`;
  return [
    fine("reach", `${reached.length} of ${present.length} members answer${took}`),
    ...silent.map((member) => judgeSilent(member, rows.get(member.name), connects)),
    ...reached.flatMap(({ member }) => judgeOneWay(member, connects?.get(member.name))),
  ];
}

function judgeSilent(
  member: MemberRow,
  row: SyncRow | undefined,
  connects: ClusterFacts["connects"],
): Finding {
  const { name, role, state, forSeconds, why } = member;
  const connect = connects?.get(name);
  const port = connect === undefined ? "" : `; from here ${describeConnect(connect)}`;
  const because = why === "" ? "" : `: ${why}`;
  const found = `${name} does not answer (${row?.reason ?? "not asked"}), ${state} for ${formatDuration(forSeconds * 1_000)}${because}${port}`;
  const trouble = { found, means: meansOf(role, connect), next: nextOf(member, connect) };
  // Who is held alive may only be slow: others still hear it.
  return state === "dead" ? failure("reach", trouble) : warning("reach", trouble);
}

function describeConnect(connect: ConnectFacts): string {
  if (connect.ok) return `its port answers in ${connect.ms} ms`;
  if (connect.code === "ECONNREFUSED") return "its port is closed";
  return connect.code === "timeout" ? "its port does not answer" : `its port gives ${connect.code}`;
}

function meansOf(role: MemberRow["role"], connect: ConnectFacts | undefined): string {
  const cost =
    role === "host"
      ? "its VMs run on if the machine does; a deploy that needs its gate waits"
      : "each step that adds VMs waits for it";
  if (connect === undefined) return cost;
  if (connect.ok) return `a process listens there and says nothing: it is stopped, or hangs; ${cost}`;
  if (connect.code === "ECONNREFUSED") return `the machine is on, and no process listens; ${cost}`;
  return `the machine is off, or the network loses what is sent; ${cost}`;
}

function nextOf({ name, role, voter }: MemberRow, connect: ConnectFacts | undefined): string {
  const start =
    connect?.ok === true
      ? `where ${name} runs: its log, then kill -CONT or a new start`
      : `where ${name} ran: grapevine ${role === "host" ? "agent" : "proxy"} --config FILE`;
  if (role === "proxy") return `${start}; gone for good: grapevine proxy exclude ${name}`;
  const forget = `grapevine host forget ${name}`;
  return `${start}; gone for good: ${voter ? `grapevine voters remove ${name}, then ` : ""}${forget}`;
}

/** It answers on the link that there is, and no new one could be opened. */
function judgeOneWay({ name, addresses }: MemberRow, connect: ConnectFacts | undefined): readonly Finding[] {
  if (connect === undefined || connect.ok) return [];
  return [
    warning("reach", {
      found: `${name} answers, but ${describeConnect(connect)} at ${addresses.join(", ")}`,
      means: "the link in use was opened by it: once that breaks, this host cannot open another",
      next: `advertise in the file of ${name}, or a firewall on the way`,
    }),
  ];
}

export function judgeBehind({ sync }: Pick<ClusterFacts, "sync">): readonly Finding[] {
  if (!sync.ok) return [];
  const { members } = sync.value;
  const behind = members.filter(({ synced }) => synced === false);
  if (behind.length === 0) {
    const asked = members.filter(({ synced }) => synced === true).length;
    return [fine("sync", `${counted(asked, "member")} that answer hold the same`)];
  }
  return behind.map(({ name, behind: lacks, mismatched }) => {
    const what = lacks.map(({ writes, name: of, owner }) => `${writes} of ${of ?? owner}`);
    const broken = mismatched.map(({ name: of, owner }) => `other values of ${of ?? owner}`);
    return warning("sync", {
      found: `${name} lacks ${[...what, ...broken].slice(0, 3).join(", ")}`,
      means: "it is overloaded, or reaches nobody who has them; it was asked twice",
      next: `grapevine diff ${sync.value.askedBy} ${name}, once more in some seconds`,
    });
  });
}

export function judgeLag({ sync }: Pick<ClusterFacts, "sync">): readonly Finding[] {
  if (!sync.ok) return [];
  const told = sync.value.members.flatMap(({ name, lagMs }) => (lagMs === null ? [] : [{ name, lagMs }]));
  const late = told.filter(({ lagMs }) => lagMs > DOCTOR_LAG_MS);
  const worst = told.reduce((most, { lagMs }) => Math.max(most, lagMs), 0);
  if (late.length === 0)
    return [fine("lag", `event loops were at most ${formatDuration(worst)} late in the last ten seconds`)];
  return late.map(({ name, lagMs }) =>
    warning("lag", {
      found: `the event loop of ${name} was ${formatDuration(lagMs)} late in the last ten seconds`,
      means: "it is starved of CPU, swaps, or was stopped: others hold it suspect, and its deploys are slow",
      next: `on ${name}: top, vmstat 1; on a virtual machine the st column`,
    }),
  );
}

/** Against the clock of the agent that was asked. */
export function judgeClocks(told: readonly ToldFacts[], askedBy: string): readonly Finding[] {
  const clocks = told.flatMap(({ name, about }) => (about.ok ? [{ name, ...about.value }] : []));
  const own = clocks.find(({ name }) => name === askedBy);
  const others = clocks.filter(({ name }) => name !== askedBy);
  if (own === undefined || others.length === 0) return [];
  const apart = others.map((clock) => apartFrom(own, clock));
  const far = apart.filter(({ atLeastMs }) => atLeastMs > DOCTOR_CLOCK_MS);
  const near = apart.filter(({ atLeastMs }) => atLeastMs <= DOCTOR_CLOCK_MS);
  const most = near.reduce((worst, { atMostMs }) => Math.max(worst, atMostMs), 0);
  const equal = `clocks of ${counted(near.length, "other member")} are within ${formatDuration(most)} of ${askedBy}'s`;
  return [
    ...(near.length === 0 ? [] : [fine("clocks", equal)]),
    ...far.map(({ name, differenceMs, atMostMs }) =>
      warning("clocks", {
        found: `the clock of ${name} is ${formatDuration(Math.abs(differenceMs))} ${differenceMs > 0 ? "ahead of" : "behind"} ${askedBy}'s, give or take ${formatDuration(atMostMs - Math.abs(differenceMs))}`,
        means:
          "no step rests on a clock. Times in status, explain and logs are off by it, and keep_old is longer or shorter when another host drives on",
        next: `on ${name}: timedatectl set-ntp true`,
      }),
    ),
  ];
}

function apartFrom(own: AboutFacts, { name, clockMs, clockErrorMs }: AboutFacts & { readonly name: string }) {
  const differenceMs = clockMs - own.clockMs;
  const errorMs = clockErrorMs + own.clockErrorMs;
  return {
    name,
    differenceMs,
    atLeastMs: Math.max(0, Math.abs(differenceMs) - errorMs),
    atMostMs: Math.abs(differenceMs) + errorMs,
  };
}

export function judgeVersions(told: readonly ToldFacts[]): readonly Finding[] {
  const known = told.flatMap(({ name, about }) => (about.ok ? [{ name, ...about.value }] : []));
  if (known.length === 0) return [];
  const byCut = grouped(known, describeCut);
  const byNode = grouped(known, ({ node }) => node);
  const wires = known.flatMap(({ wire }) => wire ?? []);
  const found = `${describeGroups(byCut)}; Node ${describeGroups(byNode)}`;
  if (Math.max(...wires, 0) - Math.min(...wires, Number.MAX_SAFE_INTEGER) > WIRES_APART_MAX)
    return [
      failure("versions", {
        found,
        means: "a release speaks its own format and the one before: these do not understand each other",
        next: "start the oldest ones on the newer release",
      }),
    ];
  if (byCut.size === 1) return [fine("versions", found)];
  return [
    warning("versions", {
      found,
      means: "members of different cuts: CHANGELOG.md says which of them understand each other's records",
      next: "in the repository of each host: git rev-parse HEAD; then start the older ones anew",
    }),
  ];
}

function describeCut({ grapevine, commit, wire }: AboutFacts): string {
  if (grapevine === null) return "an earlier cut, which does not say";
  const at = commit === null ? "" : ` at ${commit.slice(0, COMMIT_CHARS)}`;
  return `Grapevine ${grapevine}${at}, wire ${wire ?? "?"}`;
}

function grouped<Of extends { readonly name: string }>(
  members: readonly Of[],
  key: (member: Of) => string,
): ReadonlyMap<string, readonly string[]> {
  const groups = Map.groupBy(members, key);
  return new Map([...groups].map(([kind, of]) => [kind, of.map(({ name }) => name)]));
}

/** All alike are counted; of several kinds each is named. */
function describeGroups(groups: ReadonlyMap<string, readonly string[]>): string {
  return [...groups]
    .map(
      ([kind, names]) =>
        `${kind} (${groups.size === 1 ? counted(names.length, "member") : names.join(", ")})`,
    )
    .join("; ");
}

/** Of a proxy that answers. */
export function judgeProxies(sync: Result<SyncView>): readonly Finding[] {
  if (!sync.ok) return [];
  const proxies = sync.value.members.filter(({ role, state }) => role === "proxy" && state !== "left");
  const told = proxies.flatMap(({ name, proxy }) => (proxy === null ? [] : [{ name, ...proxy }]));
  const shut = told.filter(({ serving }) => !serving);
  const stale = told.filter(({ serving, stale: isStale }) => serving && isStale);
  const count = told.length - shut.length - stale.length;
  if (proxies.length === 0) {
    const found = "no proxy is registered";
    return [
      warning("proxies", {
        found,
        means: "a deploy waits for one",
        next: "grapevine proxy --config PROXY.toml",
      }),
    ];
  }
  return [
    ...(count === 0 ? [] : [fine("proxies", `${count} of ${proxies.length} serve by what the voters say`)]),
    ...shut.map(({ name }) =>
      failure("proxies", {
        found: `${name} does not serve yet`,
        means:
          "its listener is closed until a voter has admitted it; its log says, every 3 s, who is missing",
        next: "the lines of this report about voters",
      }),
    ),
    ...stale.map(({ name }) =>
      warning("proxies", {
        found: `${name} serves what it knew before it crashed`,
        means: "no voter has admitted it since, and it acknowledges nothing: deploys wait for it",
        next: "the lines of this report about voters",
      }),
    ),
  ];
}
