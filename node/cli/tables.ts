// Tables: the answers to "what runs, what is routed where, who is behind".

import type { MemberRow } from "../api/views.ts";
import type { AppView, ProxyAckView, RolloutView, VmView, Waiting } from "../deploy/app-view.ts";
import { describeSubject, releaseName } from "../deploy/core/describe.ts";
import type { ProxyTable, RoutesView } from "./answers.ts";
import { isOver } from "./exit-code.ts";
import {
  describeAcks,
  describeChange,
  describeShares,
  describeStepReport,
  describeWaiting,
} from "./narrator.ts";
import { formatDuration, formatTable, plainText } from "./table.ts";

const NONE = "-";

export function membersTable(rows: readonly MemberRow[]): string {
  const header = ["NAME", "ROLE", "STATE", "FOR", "PID", "API", "HTTP", "REGION", "VOTER", "WHY"];
  const cells = rows.map((row) => [
    row.name,
    row.role,
    row.state,
    formatDuration(row.forSeconds * 1_000),
    row.pid === null ? NONE : String(row.pid),
    row.api ?? NONE,
    row.http ?? NONE,
    row.region ?? NONE,
    row.voter ? "yes" : NONE,
    plainText([useOf(row), row.why].filter((part) => part !== "").join("; ")),
  ]);
  return formatTable(header, cells);
}

function useOf({ cordoned, draining }: MemberRow): string {
  if (draining) return "draining";
  return cordoned ? "cordoned" : "";
}

export function vmsTable(vms: readonly VmView[]): string {
  if (vms.length === 0) return "no VM runs\n";
  const header = [
    "VM",
    "APP",
    "RELEASE",
    "HOST",
    "WANTED",
    "STATE",
    "HEALTH",
    "ADDRESS",
    "RESTARTS",
    "REASON",
  ];
  const cells = vms.map((vm) => [
    vm.vm,
    vm.app,
    `v${vm.release}`,
    vm.host,
    vm.phase ?? "gone",
    vm.state ?? "no word yet",
    vm.health ?? NONE,
    vm.address ?? NONE,
    String(vm.restarts),
    vm.reason ?? "",
  ]);
  return formatTable(header, cells);
}

export function appsTable(views: readonly AppView[]): string {
  if (views.length === 0) return "no app is deployed; deploy one with `grapevine deploy FILE`\n";
  const header = ["APP", "RELEASE", "EPOCH", "VMS", "WEIGHTS", "ROLLOUT", "BEHIND", "HOSTNAMES"];
  const cells = views.map((view) => [
    view.app,
    view.release ?? NONE,
    String(view.epoch),
    isAsleep(view) ? "asleep" : countVms(view.vms),
    describeSplit(view),
    view.rollout === null ? NONE : `${view.rollout.id} ${view.rollout.state}`,
    behind(view.proxies).join(" ") || NONE,
    view.hostnames.join(" "),
  ]);
  return formatTable(header, cells);
}

export function appText(view: AppView): string {
  const release = view.deleted ? "destroyed" : (view.release ?? "no release serves yet");
  const head = `${view.app}: ${release}, epoch ${view.epoch}, weights ${describeSplit(view)}, ${view.hostnames.join(" ")}`;
  const parts = [
    `${plainText(head)}\n`,
    view.rollout === null ? "no rollout yet\n" : rolloutText(view.rollout),
    leftoversText(view.leftovers),
    keptText(view),
    heldText(view),
    stoppedText(view),
    idleText(view),
    excludedText(view),
    fencedText(view),
    vmsTable(view.vms),
    proxiesTable(view),
  ];
  return parts.filter((part) => part !== "").join("\n");
}

function rolloutText(rollout: RolloutView): string {
  const { from, to, kind, superseded, next } = rollout;
  const back = rollout.direction === "back" && !isOver(rollout) ? ", going back" : "";
  const isWithin = kind === "scale" || kind === "restart" || kind === "move";
  const between = `${kind} ${releaseName(from) ?? "nothing"} to ${releaseName(to) ?? "nothing"}`;
  const what = isWithin ? describeChange(rollout) : from === to ? kind : between;
  const lines = [
    `rollout ${rollout.id}: ${what}: ${rollout.state}${back}, driven by ${rollout.driver}`,
    ...(superseded === undefined ? [] : [`  it superseded ${superseded.id} (${superseded.state})`]),
    ...(next === undefined ? [] : [`  v${next} begins as soon as it is over`]),
    ...rollout.history.map((report) => `  ${describeStepReport(report)}`),
    ...pauseLines(rollout),
    ...stepLines(rollout),
    ...(rollout.stalled == null ? [] : [`  ${plainText(rollout.stalled)}`]),
    ...(rollout.reason === null ? [] : [`  reason: ${plainText(rollout.reason.message)}`]),
    ...(rollout.reason?.lastLines ?? []).map((line) => `  | ${plainText(line)}`),
  ];
  return `${lines.join("\n")}\n`;
}

function pauseLines({ state, pause }: RolloutView): readonly string[] {
  return state === "paused" ? [`  paused: ${plainText(pause?.why ?? "")}`] : [];
}

function stepLines({ step }: RolloutView): readonly string[] {
  if (step === null) return [];
  const acks = describeAcks(step.acks);
  const head = `  step ${step.number} ${step.kind} ${describeSubject(step)} … ${acks}`;
  const waits = step.waitingFor.map((waiting) => `    waits for ${describeWaiting(waiting)}`);
  return [`${head.trimEnd()} (${formatDuration(step.forMs)})`, ...waits];
}

function leftoversText(leftovers: readonly Waiting[]): string {
  return leftovers.map((waiting) => `left over: ${describeWaiting(waiting)}\n`).join("");
}

function keptText({ kept, previews = [] }: AppView): string {
  const lines = [
    ...(previews.length === 0 ? [] : [`the new release is reached at ${previews.join(", ")}`]),
    ...(kept == null
      ? []
      : [`${kept.release} is kept for ${formatDuration(kept.forMs)}: ${kept.vms.join(" ")}`]),
  ];
  return lines.map((line) => `${plainText(line)}\n`).join("");
}

function heldText({ app, held, rollout }: AppView): string {
  if (held == null) return "";
  if (isAsleep({ held, rollout })) {
    const again =
      rollout?.kind === "wake" ? "; it could not be woken, and is tried again while any wait" : "";
    return `${plainText(`asleep for ${formatDuration(held.forMs)}: a request wakes it, and waits until it serves${again}`)}\n`;
  }
  const who = {
    person: `a person; \`grapevine release ${app}\` sends them on`,
    rollout: "the rollout",
    launch: "its first deploy",
    idle: "its sleep, until a VM of it serves",
  }[held.by];
  return `${plainText(`requests are held for ${formatDuration(held.forMs)} by ${who}`)}\n`;
}

/** A person stopped its last VM: no request wakes it. */
function isStopped({ vms, rollout, deleted }: AppView): boolean {
  return !deleted && vms.length === 0 && rollout?.kind === "stop" && rollout.state === "succeeded";
}

function stoppedText(view: AppView): string {
  if (!isStopped(view)) return "";
  return `${plainText(`stopped: requests get 503; \`grapevine scale ${view.app} 1\` starts a VM`)}\n`;
}

/** Of one that is awake. */
function idleText(view: AppView): string {
  const { idle } = view;
  if (idle == null || isAsleep(view) || isStopped(view)) return "";
  const why = idle.awake === null ? "" : `; awake: ${idle.awake}`;
  return `${plainText(`sleeps once nobody asked for it for ${formatDuration(idle.afterMs)}${why}`)}
`;
}

function excludedText({ excluded = [] }: AppView): string {
  const lines = excluded.map(({ proxy, by }) =>
    by === "person"
      ? `${proxy} is excluded: no rollout asks it`
      : `${proxy} is excluded for its silence, from steps that add`,
  );
  return lines.map((line) => `${plainText(line)}\n`).join("");
}

function fencedText({ fenced = [] }: AppView): string {
  const lines = fenced.map(
    ({ host, forMs }) =>
      `${host} is fenced since ${formatDuration(forMs)}: its gate is not asked, its VMs count as stopped`,
  );
  return lines.map((line) => `${plainText(line)}\n`).join("");
}

function proxiesTable({ proxies, epoch }: AppView): string {
  if (proxies.length === 0) return "no proxy is registered\n";
  const header = ["PROXY", "APPLIED", "VERIFIED", "IN FLIGHT", "STANDS"];
  const cells = proxies.map((proxy) => [
    proxy.proxy,
    String(proxy.applied),
    String(proxy.verified),
    String(proxy.inFlight),
    proxy.nack ?? (proxy.current ? "up to date" : `behind: epoch ${epoch} is in force`),
  ]);
  return formatTable(header, cells);
}

/** Per hostname the endpoints, how many proxies have each, and who is behind or silent. */
export function routesText(tables: readonly ProxyTable[]): string {
  const answered = tables.filter((table) => table.routes !== null);
  const routes = newestRoutes(answered);
  const header = ["HOSTNAME", "APP", "EPOCH", "RELEASE", "VM", "HOST", "ADDRESS", "HEALTH", "PROXIES"];
  const cells = routes.flatMap((route) =>
    route.endpoints.map((endpoint) => [
      route.hostname,
      route.app,
      String(route.epoch),
      `v${endpoint.release}`,
      endpoint.vm,
      endpoint.host,
      endpoint.address,
      describeHealth(endpoint),
      `${answered.filter((table) => hasEndpoint(table, route.hostname, endpoint.vm)).length}/${tables.length}`,
    ]),
  );
  const empty = routes.filter(({ endpoints }) => endpoints.length === 0);
  const notes = [
    ...empty.map(({ hostname, app }) => `${hostname}: ${app} has no endpoint`),
    ...answered.flatMap((table) => behindNotes(table, routes)),
    ...answered.flatMap(drainingNotes),
    ...tables
      .filter(({ routes: own }) => own === null)
      .map(({ proxy, reason }) => `${proxy} does not answer: ${reason}`),
  ];
  const table = cells.length === 0 ? "nothing is routed\n" : formatTable(header, cells);
  return `${table}${notes.map((note) => `${plainText(note)}\n`).join("")}`;
}

type Route = RoutesView["routes"][number];

function describeHealth({ healthy, hostAway }: Route["endpoints"][number]): string {
  if (!healthy) return "unhealthy";
  return hostAway === true ? "host away" : "healthy";
}

/** By hostname, each as the proxy that is furthest has it. */
function newestRoutes(tables: readonly ProxyTable[]): readonly Route[] {
  const newest = new Map<string, Route>();
  for (const route of tables.flatMap((table) => table.routes?.routes ?? [])) {
    if ((newest.get(route.hostname)?.epoch ?? -1) < route.epoch) newest.set(route.hostname, route);
  }
  return [...newest.values()].sort((left, right) => (left.hostname < right.hostname ? -1 : 1));
}

function hasEndpoint(table: ProxyTable, hostname: string, vm: string): boolean {
  const route = table.routes?.routes.find((candidate) => candidate.hostname === hostname);
  return route?.endpoints.some((endpoint) => endpoint.vm === vm) ?? false;
}

function behindNotes(table: ProxyTable, newest: readonly Route[]): readonly string[] {
  return newest.flatMap(({ hostname, app, epoch }) => {
    const own = table.routes?.routes.find((route) => route.hostname === hostname);
    if (own === undefined) return [`${table.proxy} is behind: it does not route ${hostname} yet`];
    return own.epoch >= epoch
      ? []
      : [`${table.proxy} is behind: ${app} at epoch ${own.epoch}, others at ${epoch}`];
  });
}

function drainingNotes(table: ProxyTable): readonly string[] {
  const draining = table.routes?.draining ?? [];
  return draining.map(({ vm, requests }) => `${table.proxy} drains ${vm}: ${requests} requests in flight`);
}

function behind(proxies: readonly ProxyAckView[]): readonly string[] {
  return proxies.filter(({ current }) => !current).map(({ proxy }) => proxy);
}

/** "2 healthy", "1 healthy, 1 starting". */
/** As of a record. */
function isAsleep({ held, rollout }: Pick<AppView, "held" | "rollout">): boolean {
  return held?.by === "idle" && (rollout === null || isOver(rollout));
}

function countVms(vms: readonly VmView[]): string {
  return `${healthyOf(vms)}/${vms.length} healthy`;
}

/** How many run and are well. */
export function healthyOf(vms: readonly VmView[]): number {
  return vms.filter(({ state, health }) => state === "running" && health === "healthy").length;
}

function describeSplit({ weights, byWeight }: Pick<AppView, "weights" | "byWeight">): string {
  const shares = describeShares(weights);
  if (shares === "") return NONE;
  return byWeight === true ? `${shares} (set)` : shares;
}
