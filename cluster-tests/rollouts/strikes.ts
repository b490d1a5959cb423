// Strikes: how drivers and machines of the simulated cluster break and are mended, with who hears of it.

import { isExclusive } from "../../mesh/index.ts";
import { withFenced } from "../../node/deploy/core/fences.ts";
import type { SimCluster } from "./sim-cluster.ts";
import type { SimDriver } from "./sim-driver.ts";
import type { SimHost } from "./sim-host.ts";

/** Whether the others hold this driver dead. Its own machine may be down all the same. */
export function holdDead(cluster: SimCluster, driver: SimDriver, isDead: boolean): void {
  if (isDead) cluster.heldDead.add(driver.name);
  else if (driver.condition !== "down") cluster.heldDead.delete(driver.name);
  cluster.assignCharges();
}

export function restartDriver(cluster: SimCluster, driver: SimDriver): void {
  if (driver.condition !== "down" || cluster.hosts.get(driver.name)?.isUp !== true) return;
  cluster.say(() => `${driver.name} drives again`);
  driver.restart(cluster.facts());
  for (const proxy of cluster.proxies.values()) proxy.forgetTold();
  for (const host of cluster.hosts.values()) host.gate.forgetTold();
  holdDead(cluster, driver, false);
}

export function resumeDriver(cluster: SimCluster, driver: SimDriver): void {
  if (driver.condition !== "paused" && driver.condition !== "cut") return;
  cluster.say(() => `${driver.name} goes on`);
  driver.goOn();
  // What was told meanwhile is told again.
  for (const proxy of cluster.proxies.values()) proxy.forgetTold();
  for (const host of cluster.hosts.values()) host.gate.forgetTold();
}

/** The machine: its VMs, its gate, its agent, and the driver in that. */
export function crashHost(cluster: SimCluster, host: SimHost, noticedMs: number): void {
  cluster.isHarmed = true;
  host.wasHarmed = true;
  host.crash();
  const driver = cluster.drivers.find(({ name }) => name === host.name);
  driver?.crash();
  cluster.time.after(noticedMs, () => {
    if (host.isUp) return;
    noteDead(cluster, host, true);
    if (driver !== undefined) holdDead(cluster, driver, true);
  });
}

export function startHost(cluster: SimCluster, host: SimHost): void {
  if (host.isUp) return;
  cluster.say(() => `${host.name} is back`);
  host.start();
  // Nobody hears of that yet.
  if (host.isCut) return;
  cluster.mendLinks(host);
  noteDead(cluster, host, false);
  const driver = cluster.drivers.find(({ name }) => name === host.name);
  if (driver !== undefined) restartDriver(cluster, driver);
}

/** Its agent hears nobody and nobody hears it; its VMs and its gate go on. Who drives there is cut off too. */
export function cutHost(cluster: SimCluster, host: SimHost, noticedMs: number): void {
  host.isCut = true;
  const driver = cluster.drivers.find(({ name }) => name === host.name);
  if (driver?.condition === "up") driver.condition = "cut";
  cluster.time.after(noticedMs, () => {
    if (!host.isCut) return;
    // Its VMs may be replaced: then it stops them once it is back, and what they have in hand is theirs to finish.
    host.wasHarmed = true;
    // Of an app that never runs twice nothing takes its place.
    if (isExclusive(cluster.scenario)) cluster.isHarmed = true;
    noteDead(cluster, host, true);
    if (driver !== undefined) holdDead(cluster, driver, true);
  });
}

export function mendHost(cluster: SimCluster, host: SimHost): void {
  if (!host.isCut) return;
  cluster.say(() => `${host.name} is connected again`);
  host.isCut = false;
  host.isUnheard = false;
  cluster.mendLinks(host);
  noteDead(cluster, host, false);
  const driver = cluster.drivers.find(({ name }) => name === host.name);
  if (driver === undefined) return;
  restartDriver(cluster, driver);
  if (driver.condition === "cut") resumeDriver(cluster, driver);
  holdDead(cluster, driver, false);
}

function noteDead(cluster: SimCluster, { name, isUp }: SimHost, isDead: boolean): void {
  if (!isDead && !isUp) return;
  // Since it was heard last, whatever became of it meanwhile.
  if (isDead) cluster.dead.set(name, cluster.dead.get(name) ?? cluster.wallMs);
  else cluster.dead.delete(name);
  cluster.tellMembers();
}

/** Until a person has looked, and how long the machine is off. */
const LOOKED_MS = 200;
const OFF_MS = 12_000;
/** Then it hears nobody yet. */
const STILL_CUT_MS = 2_000;

/** It is off, and a person says so. Much later it starts again, with all that it knew, and nobody hears it for a while. */
export function fenceHost(cluster: SimCluster, host: SimHost): void {
  crashHost(cluster, host, 0);
  cluster.time.after(LOOKED_MS, () => sayOff(cluster, host));
  cluster.time.after(OFF_MS, () => {
    if (host.isUp) return;
    host.isCut = true;
    host.start();
  });
  cluster.time.after(OFF_MS + STILL_CUT_MS, () => mendHost(cluster, host));
}

/** Asked again until there is a majority. */
function sayOff(cluster: SimCluster, host: SimHost): void {
  const { record, register, wallMs } = cluster;
  const fence = { host: host.name, start: { incarnation: 1, startId: 1 }, atMs: wallMs };
  const next = record === null ? null : withFenced(record, fence);
  if (next !== null && !host.isUp && register.swap(cluster.committed?.epoch ?? 0, next)) return;
  if (!host.isUp) cluster.time.after(LOOKED_MS, () => sayOff(cluster, host));
}

/** For longer than a lease lasts, and than hosts are waited for. */
const PARTED_MS = 30_000;

export function partHostLong(cluster: SimCluster, host: SimHost): void {
  // Up to the very commit that takes its VMs away it is told that it may run them.
  host.isUnheard = true;
  cutHost(cluster, host, 0);
  cluster.time.after(PARTED_MS, () => mendHost(cluster, host));
}
