// Introspection tables: who is behind, what two hold differently, and what is known of one VM, for people.

import type { DiffView } from "../introspection/diff-view.ts";
import type { SyncView } from "../introspection/sync-view.ts";
import type { WhyView } from "../introspection/why-view.ts";
import { formatDuration, formatTable, plainText } from "./table.ts";

const NONE = "-";
/** Owners that one row names; their number follows. */
const NAMES_MAX = 3;

type MemberRow = SyncView["members"][number];

export function syncText({ members, askedBy, synced }: SyncView): string {
  const header = ["MEMBER", "ROLE", "STATE", "FOR", "SYNCED", "ENTRIES", "STALE", "LAG", "UP", "WHY"];
  const cells = members.map((row) => [
    row.name,
    row.role,
    row.state,
    formatDuration(row.forSeconds * 1_000),
    describeSync(row),
    row.entries === null ? NONE : String(row.entries),
    describeStale(row),
    row.lagMs === null ? NONE : formatDuration(row.lagMs),
    row.uptimeMs === null ? NONE : formatDuration(row.uptimeMs),
    row.why,
  ]);
  const end = synced ? "all members hold the same" : "not all members are known to hold the same";
  return `${formatTable(header, cells)}${end}; asked by ${askedBy}\n`;
}

function describeSync({ synced, reason, behind, mismatched }: MemberRow): string {
  if (synced === true) return "yes";
  if (synced === null) return `unknown: ${reason}`;
  const writes = behind.map(({ writes: count, name, owner, held }) => {
    const whole = held === null ? " (holds nothing of it)" : "";
    return `${count} of ${name ?? owner}${whole}`;
  });
  return [
    ...(writes.length === 0 ? [] : [`behind: ${shorten(writes)}`]),
    ...(mismatched.length === 0
      ? []
      : [`other values than ${shorten(mismatched.map(({ name, owner }) => name ?? owner))}`]),
  ].join("; ");
}

function describeStale({ stale, proxy }: MemberRow): string {
  const states = stale.length === 0 ? [] : [`${stale.length} from disk`];
  const parts = proxy?.stale === true ? ["routes", ...states] : states;
  return [...parts, ...(proxy?.serving === false ? ["not serving"] : [])].join(", ") || NONE;
}

function shorten(names: readonly string[]): string {
  const rest = names.length - NAMES_MAX;
  return `${names.slice(0, NAMES_MAX).join(", ")}${rest > 0 ? ` and ${rest} more` : ""}`;
}

// --- diff

type Side = DiffView["differences"][number]["a"];

export function diffText(view: DiffView): string {
  const { a, b, equal, owners, count, differences, truncated } = view;
  if (equal) return `${a} and ${b} hold the same: the states of ${owners} members\n`;
  const header = ["KEY", "OWNER", "NEWER", a, b];
  const cells = differences.map((row) => [
    row.key,
    row.name ?? row.owner,
    row.newer === null ? "values differ" : { a, b }[row.newer],
    describeSide(row.a),
    describeSide(row.b),
  ]);
  const more = truncated ? `; ${differences.length} are shown, and there may be more` : "";
  return `${formatTable(header, cells)}${count} of their entries differ${more}\n`;
}

function describeSide(side: Side): string {
  if (side === null) return "nothing";
  const { version, deleted, value, bytes } = side;
  return `${deleted ? "deleted" : (value ?? `${bytes} bytes`)} @${version.counter}`;
}

// --- why

export function whyText(view: WhyView, nowMs: number): string {
  return [
    `${view.vm}${view.app === null ? "" : ` of ${view.app}`}`,
    ...view.commits.map(describeCommit),
    ...recordLines(view),
    ...view.said.flatMap((said) => saidLines(said, nowMs)),
    "",
    holdingsTable(view).trimEnd(),
    "",
    ...conclusionLines(view),
  ]
    .map((line) => line.split("\n").map(plainText).join("\n"))
    .map((line) => `${line}\n`)
    .join("");
}

function describeCommit({ epoch, by, version, inForce }: WhyView["commits"][number]): string {
  return `epoch ${epoch} committed by ${by ?? "an unknown member"} (${version.text})${inForce ? "" : ", not the one that counts"}`;
}

function recordLines({ record }: WhyView): readonly string[] {
  if (record === null) return ["no record that anybody holds names it"];
  const { wanted, rollout } = record;
  const wants =
    wanted === null
      ? "the record does not name it"
      : `the record wants it ${wanted.phase} on ${wanted.host}, release v${wanted.release}`;
  const step = rollout?.step == null ? "" : `, step ${rollout.step}`;
  const going =
    rollout === null ? "" : `; rollout ${rollout.id} ${rollout.state}${step}, driven by ${rollout.driver}`;
  return [`${wants}${going}`];
}

function saidLines(
  { by, owner, version, believed, deleted, entry, problem }: WhyView["said"][number],
  nowMs: number,
): readonly string[] {
  const who = `${by ?? owner}${believed ? "" : " (not believed: the record gives it to another, or to nobody)"}`;
  const written = `written ${version.text}: incarnation ${version.incarnation}, counter ${version.counter}`;
  if (entry === null) return [`${who} says: ${deleted ? "deleted" : (problem ?? "nothing")}; ${written}`];
  const { state, health, address, reason, restarts, startedAtMs, healthyAtMs } = entry;
  const facts = [
    state === "running" ? `running, ${health}` : state,
    address === null ? "no address" : `at ${address.host}:${address.port}`,
    ...(restarts === 0 ? [] : [`${restarts} restarts`]),
    ...(startedAtMs === null ? [] : [`started ${agoOf(startedAtMs, nowMs)}`]),
    ...(healthyAtMs === null ? [] : [`healthy ${agoOf(healthyAtMs, nowMs)} by its clock`]),
    ...(reason === null ? [] : [reason]),
  ];
  return [`${who} says: ${facts.join(", ")}; ${written}`];
}

function agoOf(atMs: number, nowMs: number): string {
  return `${formatDuration(nowMs - atMs)} ago`;
}

function holdingsTable({ members }: WhyView): string {
  const header = ["MEMBER", "ENTRY", "OF", "HOLDS", "CAME BY", "AGO", "ROUTES"];
  const cells = members.flatMap((member) => {
    const routes = describeRouting(member);
    if (member.reason !== null && member.holds.length === 0)
      return [[member.name, NONE, NONE, `unknown: ${member.reason}`, NONE, NONE, routes]];
    return member.holds.map((held, at) => [
      at === 0 ? member.name : "",
      held.key,
      held.by ?? held.owner,
      describeHeld(held),
      describePath(held),
      held.agoMs === null ? NONE : formatDuration(held.agoMs),
      at === 0 ? routes : "",
    ]);
  });
  return formatTable(header, cells);
}

type Held = WhyView["members"][number]["holds"][number];

function describeHeld({ version, current, deleted }: Held): string {
  if (version === null) return "nothing";
  return `${current ? "newest" : "older"} @${version.counter}${deleted ? " deleted" : ""}`;
}

function describePath({ path, from }: Held): string {
  if (path === null) return NONE;
  if (path === "own") return "own write";
  if (path === "disk") return "its disk";
  const way = path === "sync" ? "anti-entropy" : path;
  return from === null ? way : `${way} from ${from}`;
}

function describeRouting({ role, routing, reason }: WhyView["members"][number]): string {
  if (role !== "proxy") return NONE;
  if (routing === null) return reason === null ? NONE : "unknown";
  return `${routing.isRouted ? "yes" : "no"}, epoch ${routing.epoch}`;
}

function conclusionLines({ conclusions, members, vm }: WhyView): readonly string[] {
  if (conclusions.length > 0) return conclusions.map((line) => `! ${line}`);
  const proxies = members.filter(({ routing }) => routing !== null).length;
  return [proxies === 0 ? "no proxy is there to route" : `all ${proxies} proxies route to ${vm}`];
}
