// Why, conclusions: what is wrong with one VM's way to the proxies, in sentences, the most important first.

import { describePersonHold } from "../deploy/core/describe.ts";
import type { HeldView, RecordView, SaidView, WhyMemberView, WhyView } from "./why-view.ts";

type WhyFacts = Omit<WhyView, "conclusions">;

export function conclude(facts: WhyFacts): readonly string[] {
  return [
    ...ofRecord(facts),
    ...ofHold(facts),
    ...ofHost(facts),
    ...facts.members.flatMap((member) => ofProxy(member, facts)),
    ...facts.members.flatMap(ofSilence),
    ...facts.members.flatMap(ofHoldings),
  ];
}

function ofRecord({ record, app, vm }: WhyFacts): readonly string[] {
  if (record === null) return [`no record of a voter that anybody holds says what is wanted of ${vm}`];
  const epoch = `the record of ${app} (epoch ${record.epoch})`;
  if (record.wanted === null)
    return [`${epoch} does not name ${vm}: its host stops it, and nobody routes to it`];
  const { phase, host } = record.wanted;
  if (phase === "command") return [`${epoch} wants it to run the release command: nobody routes to it`];
  if (phase === "opening")
    return [`${epoch} wants it to start: what is held is sent there once ${host} says that it is healthy`];
  return phase === "serving"
    ? []
    : [`${epoch} wants it ${phase}: proxies route to VMs that serve alone${rolloutOf(record)}`];
}

/** However well a proxy routes to it: nothing is sent there meanwhile. */
function ofHold({ app, record }: WhyFacts): readonly string[] {
  if (app === null || record === null || record.heldBy === null) return [];
  if (record.heldBy === "person") return [`${app}'s ${describePersonHold(app)}`];
  const until = record.heldBy === "rollout" ? "its rollout sends them on" : "a VM of it serves";
  return [`${app}'s requests are held until ${until}`];
}

function rolloutOf({ rollout }: RecordView): string {
  return rollout?.state === "running" ? `; rollout ${rollout.id} is at: ${rollout.step ?? "its begin"}` : "";
}

function ofHost({ record, said, vm }: WhyFacts): readonly string[] {
  const host = record?.wanted?.host;
  if (host === undefined) return [];
  const word = said.find(({ believed }) => believed);
  if (word === undefined)
    return [`${host}, which shall run it, has said nothing of ${vm} to anybody who answered`];
  return describeTrouble(word, host);
}

function describeTrouble({ deleted, entry, problem }: SaidView, host: string): readonly string[] {
  if (deleted) return [`${host} has deleted it: it does not run there any more`];
  if (entry === null) return [`what ${host} says of it ${problem}`];
  if (entry.state !== "running") return [`${host} says that it is ${entry.state}${reasonOf(entry.reason)}`];
  return entry.health === "healthy"
    ? []
    : [`${host} says that it is ${entry.health}${reasonOf(entry.reason)}`];
}

function reasonOf(reason: string | null): string {
  return reason === null ? "" : `: ${reason}`;
}

function ofProxy({ name, proxy, routing }: WhyMemberView, { record }: WhyFacts): readonly string[] {
  if (proxy === null || routing === null) return [];
  const newest = record?.epoch ?? 0;
  const behind =
    routing.epoch < newest ? `; its table is of epoch ${routing.epoch}, the newest is ${newest}` : "";
  const lines: string[] = [];
  if (!proxy.serving) lines.push(`${name} does not serve yet: no voter has admitted it since its start`);
  if (proxy.stale) lines.push(`${name} serves what it knew before a crash: no voter has admitted it since`);
  if (!routing.isRouted) lines.push(`${name} does not route to it: ${routing.why}${behind}`);
  else if (routing.why !== "" || behind !== "")
    lines.push(`${name} routes to it${routing.why === "" ? "" : `, but: ${routing.why}`}${behind}`);
  return lines;
}

function ofSilence({ name, role, reason, state, forSeconds, why }: WhyMemberView): readonly string[] {
  if (reason === null || state === "left") return [];
  const unknown = role === "proxy" ? "whether it routes to it is not known" : "what it holds is not known";
  const judged = state === "alive" ? "" : ` (${state} for ${forSeconds} s: ${why})`;
  return [`${name} does not answer: ${reason}; ${unknown}${judged}`];
}

function ofHoldings({ name, holds }: WhyMemberView): readonly string[] {
  return holds.filter(({ current }) => !current).map((held) => `${name} ${describeLack(held)}`);
}

function describeLack({ key, by, owner, version }: HeldView): string {
  const what = `${key} of ${by ?? owner}`;
  return version === null ? `holds nothing of ${what}` : `holds an older ${what}: ${version.text}`;
}
