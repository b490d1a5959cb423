// Possible: what may happen next in a simulated cluster: what somebody hears, says, writes, starts or stops.

import type { CanaryCounts } from "../../mesh/index.ts";
import type { Action } from "./action.ts";
import type { SimCluster } from "./sim-cluster.ts";
import { committedInput, type SimDriver, type Swap } from "./sim-driver.ts";
import type { SimHost } from "./sim-host.ts";
import type { SimProxy } from "./sim-proxy.ts";

export function possibleActions(cluster: SimCluster): readonly Action[] {
  const actions: Action[] = [];
  for (const driver of cluster.drivers) addOfDriver(cluster, driver, actions);
  for (const swap of cluster.orphans) {
    const run = () => {
      cluster.orphans.splice(cluster.orphans.indexOf(swap), 1);
      cluster.register.swap(swap.expectedEpoch, swap.next);
    };
    actions.push({ label: () => "a dead driver's proposal comes through", run });
  }
  for (const host of cluster.hosts.values()) {
    addOfAgent(cluster, host, actions);
    host.addActions(actions);
    addOfAlone(cluster, host, actions);
    addOfGate(cluster, host, actions);
  }
  for (const proxy of cluster.proxies.values()) addOfProxy(cluster, proxy, actions);
  addOfJoining(cluster, actions);
  return actions;
}

function addOfDriver(cluster: SimCluster, driver: SimDriver, actions: Action[]): void {
  const { swap, inbox, name, condition } = driver;
  if (condition !== "up") return;
  const isWatching = driver !== cluster.inCharge;
  if (inbox.length > 0)
    actions.push({
      label: () => `${name} hears: ${isWatching ? "all" : inbox[0]?.kind}`,
      run: () => (isWatching ? driver.stepAll() : driver.step()),
    });
  if (swap !== null)
    actions.push({ label: () => `${name} swaps: ${swap.why}`, run: () => swapOf(cluster, driver, swap) });
}

function swapOf(cluster: SimCluster, driver: SimDriver, swap: Swap): void {
  driver.swap = null;
  const isAnswered = !cluster.register.isAway && !cluster.isAnswerLost;
  cluster.isAnswerLost = false;
  const isCommitted = cluster.register.swap(swap.expectedEpoch, swap.next);
  if (!isCommitted && cluster.broken === "recheck-before-swap")
    cluster.register.swap(cluster.committed?.epoch ?? 0, swap.next);
  if (!isAnswered) {
    driver.tell({ kind: "stalled", reason: "no majority of the voters answers" });
    cluster.reread(driver);
  } else if (cluster.committed !== null) {
    driver.tell(committedInput(cluster.committed, driver === cluster.inCharge));
  }
}

function addOfAgent(cluster: SimCluster, host: SimHost, actions: Action[]): void {
  const { committed } = cluster;
  const isNews = committed !== null && (host.held?.epoch ?? 0) < committed.epoch;
  if (!isNews || !host.isUp || host.isCut) return;
  if (host.isConcerned(committed)) {
    const label = () => `${host.name} hears epoch ${committed.epoch}`;
    actions.push({ label, run: () => host.hear(committed) });
    return;
  }
  // It runs nothing of this app: what it takes in nobody can tell.
  host.hear(committed);
  if (!host.gate.isUp) return;
  host.gate.take(committed);
  host.gate.sync();
  host.gate.noteTold();
}

function addOfAlone(cluster: SimCluster, host: SimHost, actions: Action[]): void {
  const standing = host.aloneNews();
  if (standing === null) return;
  const run = () => {
    host.noteAloneTold(standing);
    cluster.alone.set(host.name, standing);
    cluster.tellMembers();
  };
  actions.push({ label: () => `${host.name} confirms epoch ${standing.epoch}, runs ${standing.vms}`, run });
}

function addOfGate(cluster: SimCluster, host: SimHost, actions: Action[]): void {
  const { gate, name, held } = host;
  if (!host.isUp || !gate.isUp) return;
  const add = (what: () => string, run: () => void) =>
    actions.push({ label: () => `gate of ${name} ${what()}`, run });
  if (held !== null && held.epoch > gate.epoch)
    add(
      () => `takes epoch ${held.epoch}`,
      () => gate.take(held),
    );
  // The other way round: a proxy may have handed it in.
  else if (gate.held !== null && gate.epoch > (held?.epoch ?? 0)) host.hear(gate.held);
  if (gate.isWriting)
    add(
      () => "has written it",
      () => gate.sync(),
    );
  if (gate.isBlank && !host.isCut && !cluster.register.isAway && cluster.committed !== null)
    add(
      () => "is brought current",
      () => bringCurrent(cluster, host),
    );
  const standing = host.isCut ? null : gate.news();
  if (standing === null) return;
  const tell = () => {
    gate.noteTold();
    cluster.tellAll({ kind: "gate", host: name, standing });
  };
  add(() => `tells epoch ${standing.epoch}, ${standing.inFlight.length} drain`, tell);
}

function bringCurrent(cluster: SimCluster, host: SimHost): void {
  if (cluster.committed === null) return;
  host.hear(cluster.committed);
  host.gate.take(cluster.committed);
  host.gate.current();
}

function addOfProxy(cluster: SimCluster, proxy: SimProxy, actions: Action[]): void {
  if (!proxy.isUp) return;
  const { name } = proxy;
  const { committed } = cluster;
  const isBehind = proxy.epoch < (committed?.epoch ?? 0);
  if (!proxy.isCut && (isBehind || proxy.inbox.length > 0))
    actions.push({
      label: () => `${name} hears, up to epoch ${committed?.epoch}`,
      run: () => proxy.hear(committed),
    });
  const endpoint = proxy.dialDue();
  if (endpoint !== null)
    actions.push({
      label: () => `${name} dials ${endpoint.vm}`,
      run: () => proxy.dial(endpoint, cluster.hosts.get(endpoint.host) as SimHost),
    });
  const counts = proxy.countsNews();
  if (counts !== null)
    actions.push({
      label: () => `${name} tells what it counts: ${describeCounts(counts)}`,
      run: () => {
        proxy.noteCountsTold(counts);
        cluster.tellAll({ kind: "counts", proxy: name, startId: proxy.startId, counts });
      },
    });
  const ack = proxy.news();
  if (ack === null) return;
  const run = () => {
    proxy.noteTold();
    cluster.tellAll({ kind: "ack", proxy: name, ack });
  };
  const { applied, verified, inFlight } = ack;
  const label = () => `${name} answers: applied ${applied}, verified ${verified}, ${inFlight.length} drain`;
  actions.push({ label, run });
}

function describeCounts({ releases }: CanaryCounts): string {
  return releases.map(({ release, requests, errors }) => `v${release} ${errors}/${requests}`).join(", ");
}

/** It is admitted once every driver that lives has its registration; then it reads what a majority has. */
function addOfJoining(cluster: SimCluster, actions: Action[]): void {
  const { joining } = cluster;
  if (joining === null || cluster.register.isAway) return;
  const living = cluster.drivers.filter(({ name }) => !cluster.heldDead.has(name));
  if (living.some(({ inbox, condition }) => inbox.includes(joining.told) || condition !== "up")) return;
  const run = () => {
    cluster.joining = null;
    cluster.admit(joining.name);
    cluster.tellMembers();
  };
  actions.push({ label: () => `${joining.name} is admitted`, run });
}
