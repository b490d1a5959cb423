// Explain VM: whether the table in force routes to one VM, and if not, why not, for the person who asks.

import {
  type AppName,
  type CommittedApp,
  type DesiredVm,
  isPinned,
  type MemberName,
  type VmEntry,
  type VmName,
  type VmRouting,
  weightOf,
} from "../../mesh/index.ts";
import type { AppRoute, Endpoint, RouteTable } from "./route-table.ts";

/** What the fold holds of one VM. */
export interface KnownVm {
  readonly vm: VmName;
  /** The newest record that names it, and what that wants; null: none names it. */
  readonly wanted: { readonly committed: CommittedApp; readonly desired: DesiredVm } | null;
  /** What hosts say of it; `entry` null: that host deleted it. */
  readonly said: readonly { readonly host: MemberName; readonly entry: VmEntry | null }[];
}

export function explainVm(known: KnownVm, table: RouteTable): VmRouting {
  const app = known.wanted?.committed.record.app ?? appSaid(known);
  const route = app === null ? undefined : table.apps.get(app);
  const endpoint = route?.endpoints.find(({ vm }) => vm === known.vm);
  const facts = { app, epoch: route?.epoch ?? 0 };
  if (route === undefined || endpoint === undefined)
    return { ...facts, isRouted: false, why: whyNot(known, facts) };
  const hidden = whyHidden(route, table);
  return {
    ...facts,
    isRouted: hidden === "",
    why: hidden === "" ? whySeldomAsked(route, endpoint, known) : hidden,
  };
}

function appSaid({ said }: KnownVm): AppName | null {
  return said.find(({ entry }) => entry !== null)?.entry?.app ?? null;
}

function whyNot({ vm, wanted, said }: KnownVm, { app, epoch }: Pick<VmRouting, "app" | "epoch">): string {
  if (wanted === null)
    return app === null || epoch === 0
      ? "no app's record that is here names it"
      : `the record of ${app} that is here (epoch ${epoch}) does not name it`;
  const { committed, desired } = wanted;
  const record = `the record (epoch ${committed.epoch})`;
  if (desired.phase === "prepared")
    return `${record} has it prepared: it is started once nothing else of ${committed.record.app} runs`;
  if (desired.phase === "starting")
    return `${record} wants it to start: nothing is routed to it before it serves`;
  if (desired.phase === "opening")
    return `${record} wants it to start: what is held is sent there once ${desired.host} says that it is healthy`;
  if (desired.phase === "standby")
    return `${record} has it on standby: nothing but its preview name leads there`;
  if (isPinned(desired, committed.record))
    return `${record} keeps it for pages that v${desired.release} served: nothing but what those load is sent there`;
  if (desired.phase === "cordoned") return `${record} has cordoned it: nothing new is sent there`;
  const { host } = desired;
  const heard = said.find((one) => one.host === host);
  if (heard === undefined) {
    const others = said.map((one) => one.host).join(", ");
    const believed = others === "" ? "" : `; ${others} said something, and the record gives it to ${host}`;
    return `nothing that ${host} said of ${vm} is here${believed}`;
  }
  if (heard.entry === null) return `${host} has deleted it`;
  if (heard.entry.gated === true && heard.entry.address !== null)
    return `nothing but the gate of ${host} reaches it, and ${host} names none`;
  return `${host} says that it is ${heard.entry.state}, and gives no address`;
}

/** Of a route that no request reaches by any hostname; "": one does. */
function whyHidden(route: AppRoute, { byHostname }: RouteTable): string {
  if (route.hostnames.length === 0) return `the record (epoch ${route.epoch}) gives ${route.app} no hostname`;
  const takers = route.hostnames.map((hostname) => byHostname.get(hostname)?.app);
  if (takers.includes(route.app)) return "";
  return `${route.hostnames.join(", ")} belongs to ${[...new Set(takers)].join(", ")} as well, which is the first by name`;
}

/** "": it gets its share of all requests. */
function whySeldomAsked({ weights }: AppRoute, endpoint: Endpoint, known: KnownVm): string {
  const { release } = endpoint;
  const weight = weights === null ? null : weightOf(weights, release);
  const share = weight === null ? "" : `v${release} gets ${weight} of 100 requests, by weight`;
  return [share, whyAskedLast(endpoint, known)].filter((why) => why !== "").join("; ");
}

function whyAskedLast({ healthy, hostAway, host }: Endpoint, { said }: KnownVm): string {
  if (!healthy) {
    const entry = said.find((one) => one.host === host)?.entry;
    const sees =
      entry == null ? "does not speak of it any more" : `sees it ${entry.state} and ${entry.health}`;
    return `asked only when no healthy one is left: ${host} ${sees}`;
  }
  return hostAway ? `asked last: ${host} is dead or has left, as this proxy judges` : "";
}
