// Faults: what may become of each kind of member, before any event. Every fault is mended by itself after a while, unless it says so.

import { isUnderWay } from "../../mesh/index.ts";
import { submitAbort } from "../../node/deploy/core/submit.ts";
import type { SimCluster } from "./sim-cluster.ts";
import { SIM_APP } from "./sim-driver.ts";
import type { DiskFate } from "./sim-gate.ts";
import type { SimHost, SimVm } from "./sim-host.ts";
import { crashHost, cutHost, holdDead, mendHost, restartDriver, resumeDriver, startHost } from "./strikes.ts";
import { submitTo } from "./submit-to.ts";

/** Members hold each other dead after this: long against an event, short against what takes a deadline. */
const NOTICED_MS = 25;
/** A process that crashed is back. */
const BACK_MS = 125;
/** A pause that nobody notices, one in which another driver takes over, one that outlasts what that does. */
const UNNOTICED_MS = 20;
const SHORT_MS = 50;
const LONG_MS = 300;
/** Longer than `wait_timeout`, and than hosts are waited for. */
const VERY_LONG_MS = 30_000;
/** Which of the VMs: the one that shall go, the one that shall serve. */
type Which = "old" | "new";

/** Returns false where there is nothing that it could break. */
type Strike = (cluster: SimCluster) => boolean;

type DriverFault =
  | "driver-crash"
  | "driver-crash-late"
  | "driver-crash-for-good"
  | "driver-pause-unnoticed"
  | "driver-pause-short"
  | "driver-pause-long"
  | "driver-cut"
  | "swap-lost"
  | "answer-lost"
  | "voters-away"
  | "abort"
  | "supersede";

type MemberFault =
  | "old-gate-crash"
  | "old-gate-crash-written"
  | "old-gate-blank"
  | "new-gate-crash"
  | "new-gate-blank"
  | "old-host-crash"
  | "new-host-crash"
  | "old-host-gone"
  | "new-host-gone"
  | "old-host-cut"
  | "new-host-cut"
  | "old-host-cut-long"
  | "new-host-cut-long"
  | "old-vm-exits"
  | "new-vm-exits"
  | "old-vm-hangs"
  | "new-vm-hangs"
  | "proxy-crash"
  | "proxy-cut"
  | "proxy-cut-long"
  | "proxy-mute";

/** Of apps that never run twice. */
type ExclusiveFault = "agent-crash" | "old-host-blank";

const DRIVER_FAULTS: Readonly<Record<DriverFault, Strike>> = {
  /** It dies, its proposal is lost with it. */
  "driver-crash": (cluster) => crashDriver(cluster, "lost", BACK_MS),
  /** Its proposal comes through after its death. */
  "driver-crash-late": (cluster) => crashDriver(cluster, "late", BACK_MS),
  "driver-crash-for-good": (cluster) => crashDriver(cluster, "lost", null),
  /** It stands still, and goes on with what it believed. */
  "driver-pause-unnoticed": (cluster) => pauseDriver(cluster, UNNOTICED_MS),
  "driver-pause-short": (cluster) => pauseDriver(cluster, SHORT_MS),
  "driver-pause-long": (cluster) => pauseDriver(cluster, LONG_MS),
  /** It hears nobody and nobody hears it; its clock goes on. */
  "driver-cut": (cluster) => cutDriver(cluster),
  /** The swap on its way is lost, or is made and its answer is lost. */
  "swap-lost": (cluster) => loseSwap(cluster),
  "answer-lost": (cluster) => loseAnswer(cluster),
  /** No majority of the voters answers for a while. */
  "voters-away": (cluster) => loseVoters(cluster),
  /** A person does not like what they see. */
  abort: (cluster) => abort(cluster),
  /** And has another release ready. */
  supersede: (cluster) => supersede(cluster),
};

const MEMBER_FAULTS: Readonly<Record<MemberFault, Strike>> = {
  "old-gate-crash": (cluster) => crashGate(cluster, "old", "lost"),
  "old-gate-crash-written": (cluster) => crashGate(cluster, "old", "written"),
  "old-gate-blank": (cluster) => crashGate(cluster, "old", "blank"),
  "new-gate-crash": (cluster) => crashGate(cluster, "new", "lost"),
  "new-gate-blank": (cluster) => crashGate(cluster, "new", "blank"),
  /** Its machine: VMs, gate, agent, and who drives there. */
  "old-host-crash": (cluster) => breakHost(cluster, "old", LONG_MS),
  "new-host-crash": (cluster) => breakHost(cluster, "new", LONG_MS),
  "old-host-gone": (cluster) => breakHost(cluster, "old", VERY_LONG_MS),
  "new-host-gone": (cluster) => breakHost(cluster, "new", VERY_LONG_MS),
  /** Its agent alone is parted from the rest. */
  "old-host-cut": (cluster) => partHost(cluster, "old", LONG_MS),
  "new-host-cut": (cluster) => partHost(cluster, "new", LONG_MS),
  "old-host-cut-long": (cluster) => partHost(cluster, "old", VERY_LONG_MS),
  "new-host-cut-long": (cluster) => partHost(cluster, "new", VERY_LONG_MS),
  "old-vm-exits": (cluster) => strikeVm(cluster, "old", (host, vm) => host.exit(vm)),
  "new-vm-exits": (cluster) => strikeVm(cluster, "new", (host, vm) => host.exit(vm)),
  "old-vm-hangs": (cluster) => hangVm(cluster, "old"),
  "new-vm-hangs": (cluster) => hangVm(cluster, "new"),
  "proxy-crash": (cluster) => crashProxy(cluster),
  "proxy-cut": (cluster) => cutProxy(cluster, LONG_MS),
  "proxy-cut-long": (cluster) => cutProxy(cluster, VERY_LONG_MS),
  /** What it says is lost for a while, and nobody knows. */
  "proxy-mute": (cluster) => muteProxy(cluster),
};

const EXCLUSIVE_FAULTS: Readonly<Record<ExclusiveFault, Strike>> = {
  /** The agent is killed, and not its VMs. */
  "agent-crash": (cluster) => crashAgent(cluster),
  /** As a crash of the machine, and its disk is lost. */
  "old-host-blank": (cluster) => blankHost(cluster),
};

export type FaultName = DriverFault | MemberFault | ExclusiveFault;
const FAULTS: Readonly<Record<FaultName, Strike>> = {
  ...DRIVER_FAULTS,
  ...MEMBER_FAULTS,
  ...EXCLUSIVE_FAULTS,
};
export const DRIVER_FAULT_NAMES = Object.keys(DRIVER_FAULTS) as readonly FaultName[];
export const MEMBER_FAULT_NAMES = Object.keys(MEMBER_FAULTS) as readonly FaultName[];
export const EXCLUSIVE_FAULT_NAMES = Object.keys(EXCLUSIVE_FAULTS) as readonly FaultName[];
/** Those that ask a driver, which takes in all that it heard before it answers: also where nothing comes of it. */
export const LOOKING_FAULT_NAMES: readonly FaultName[] = ["abort", "supersede"];
export const FAULT_NAMES = Object.keys(FAULTS) as readonly FaultName[];

export interface Fault {
  readonly kind: FaultName;
  /** Before this event, counted from the deploy on. */
  readonly atEvent: number;
}

/** False: there was nothing to break. */
export function strike(cluster: SimCluster, { kind }: Fault): boolean {
  const hasStruck = FAULTS[kind](cluster);
  if (hasStruck) cluster.say(() => `FAULT ${kind}`);
  return hasStruck;
}

function crashDriver(cluster: SimCluster, proposal: "lost" | "late", backMs: number | null): boolean {
  const driver = cluster.inCharge;
  if (driver.condition !== "up" || (proposal === "late" && driver.swap === null)) return false;
  const swap = driver.crash();
  if (swap !== null && proposal === "late") cluster.orphans.push(swap);
  holdDead(cluster, driver, true);
  if (backMs !== null) cluster.time.after(backMs, () => restartDriver(cluster, driver));
  return true;
}

function pauseDriver(cluster: SimCluster, pauseMs: number): boolean {
  const driver = cluster.inCharge;
  if (driver.condition !== "up") return false;
  driver.condition = "paused";
  if (pauseMs > NOTICED_MS) cluster.time.after(NOTICED_MS, () => holdDead(cluster, driver, true));
  cluster.time.after(pauseMs, () => resumeDriver(cluster, driver));
  // A while in which both think that they drive.
  cluster.time.after(pauseMs + NOTICED_MS, () => holdDead(cluster, driver, false));
  return true;
}

function cutDriver(cluster: SimCluster): boolean {
  const driver = cluster.inCharge;
  if (driver.condition !== "up") return false;
  driver.condition = "cut";
  const { time } = cluster;
  time.after(NOTICED_MS, () => holdDead(cluster, driver, true));
  time.after(LONG_MS, () => resumeDriver(cluster, driver));
  time.after(LONG_MS + NOTICED_MS, () => holdDead(cluster, driver, false));
  return true;
}

function loseSwap(cluster: SimCluster): boolean {
  const driver = cluster.inCharge;
  if (driver.swap === null || driver.condition !== "up") return false;
  driver.swap = null;
  cluster.reread(driver);
  return true;
}

function loseAnswer(cluster: SimCluster): boolean {
  const driver = cluster.inCharge;
  if (driver.swap === null || driver.condition !== "up") return false;
  cluster.isAnswerLost = true;
  return true;
}

function loseVoters(cluster: SimCluster): boolean {
  cluster.register.isAway = true;
  cluster.time.after(LONG_MS, () => {
    cluster.register.isAway = false;
  });
  return true;
}

function abort(cluster: SimCluster): boolean {
  const submitted = cluster.submit(({ machine }) =>
    submitAbort(cluster.committed, SIM_APP, machine.context(cluster.time.nowMs)),
  );
  return submitted.code === "begin";
}

/** Of the deploy that runs: what is asked in its place is judged by its own. */
function supersede(cluster: SimCluster): boolean {
  const { scenario, record } = cluster;
  const { rollout } = record ?? {};
  const isFirst = rollout?.superseded === undefined && rollout?.next === undefined;
  const isMeant = isUnderWay(rollout) && rollout?.kind === "deploy" && isFirst;
  if (!isMeant || scenario.disturbance === "rolls-back") return false;
  const { count, deploy } = scenario;
  const deployed = { count, deploy, hash: "superseding", supersedes: true };
  return submitTo(cluster, scenario, deployed).code === "begin";
}

/** The host of the VM that shall go is that of the first of the lowest release; of the one that shall serve, of the last of the highest. */
function hostOf(
  { record, hosts }: SimCluster,
  which: Which,
): { host: SimHost; vm: SimVm | undefined } | null {
  const vms = [...(record?.vms ?? [])].sort((left, right) => left.release - right.release);
  const [first, last] = [vms[0], vms.at(-1)];
  const desired = which === "old" ? first : last;
  if (desired === undefined || (which === "new" && first === last)) return null;
  const host = hosts.get(desired.host);
  return host === undefined ? null : { host, vm: host.vms.get(desired.vm) };
}

function crashGate(cluster: SimCluster, which: Which, fate: DiskFate): boolean {
  const found = hostOf(cluster, which);
  if (found === null || !found.host.isUp || !found.host.gate.isUp) return false;
  const { host } = found;
  if (fate === "written" && !host.gate.isWriting) return false;
  cluster.isHarmed = true;
  host.wasHarmed = true;
  host.gate.crash(fate);
  // Who was on its way through it is cut off; what it began goes on at the VM, and nobody hears of it.
  for (const vm of host.vms.values())
    if (vm.entry.gated === true) for (const request of [...vm.requests]) request.broke();
  cluster.time.after(UNNOTICED_MS, () => {
    if (host.isUp && !host.gate.isUp) host.startGate();
  });
  return true;
}

function breakHost(cluster: SimCluster, which: Which, backMs: number): boolean {
  const found = hostOf(cluster, which);
  if (found === null || !found.host.isUp) return false;
  crashHost(cluster, found.host, NOTICED_MS);
  cluster.time.after(backMs, () => startHost(cluster, found.host));
  return true;
}

function crashAgent(cluster: SimCluster): boolean {
  const found = hostOf(cluster, "old");
  if (found === null || !found.host.isUp || found.host.isCut) return false;
  const { host } = found;
  cutHost(cluster, host, NOTICED_MS);
  host.crashAgent();
  const driver = cluster.drivers.find(({ name }) => name === host.name);
  driver?.crash();
  cluster.time.after(BACK_MS, () => {
    host.isStill = false;
    mendHost(cluster, host);
    if (driver !== undefined) restartDriver(cluster, driver);
  });
  return true;
}

function blankHost(cluster: SimCluster): boolean {
  const found = hostOf(cluster, "old");
  if (found === null || !found.host.isUp) return false;
  const { host } = found;
  crashHost(cluster, host, NOTICED_MS);
  host.gate.crash("blank");
  cluster.time.after(LONG_MS, () => {
    if (host.isUp) return;
    host.forget();
    startHost(cluster, host);
  });
  return true;
}

function partHost(cluster: SimCluster, which: Which, backMs: number): boolean {
  const found = hostOf(cluster, which);
  if (found === null || !found.host.isUp || found.host.isCut) return false;
  cutHost(cluster, found.host, NOTICED_MS);
  cluster.time.after(backMs, () => mendHost(cluster, found.host));
  return true;
}

function strikeVm(cluster: SimCluster, which: Which, act: (host: SimHost, vm: SimVm) => void): boolean {
  const found = hostOf(cluster, which);
  if (found?.vm?.entry.state !== "running" || !found.host.isUp || found.vm.isHung) return false;
  cluster.isHarmed = true;
  found.host.wasHarmed = true;
  act(found.host, found.vm);
  return true;
}

/** For longer than its checks and the drain deadline allow. */
function hangVm(cluster: SimCluster, which: Which): boolean {
  return strikeVm(cluster, which, (host, vm) => {
    host.hang(vm);
    cluster.time.after(VERY_LONG_MS, () => host.answerAgain(vm));
  });
}

function crashProxy(cluster: SimCluster): boolean {
  const [proxy] = cluster.proxies.values();
  if (proxy === undefined || !proxy.isUp) return false;
  proxy.crash();
  const { time, away } = cluster;
  time.after(NOTICED_MS, () => {
    if (!proxy.isUp) away.add(proxy.name);
    cluster.tellMembers();
  });
  const start = (): void => {
    // It reads what a majority has before it opens its listeners.
    if (cluster.register.isAway) {
      time.after(BACK_MS, start);
      return;
    }
    proxy.start(cluster.committed, cluster.heardOfAll());
    away.delete(proxy.name);
    cluster.tellMembers();
  };
  time.after(BACK_MS, start);
  return true;
}

function cutProxy(cluster: SimCluster, backMs: number): boolean {
  const [proxy] = cluster.proxies.values();
  if (proxy === undefined || !proxy.isUp || proxy.isCut) return false;
  proxy.isCut = true;
  const { time, away } = cluster;
  time.after(NOTICED_MS, () => {
    if (proxy.isCut) away.add(proxy.name);
    cluster.tellMembers();
  });
  time.after(backMs, () => {
    proxy.isCut = false;
    away.delete(proxy.name);
    cluster.tellMembers();
  });
  return true;
}

function muteProxy(cluster: SimCluster): boolean {
  const [proxy] = cluster.proxies.values();
  if (proxy === undefined || proxy.isMute) return false;
  proxy.isMute = true;
  cluster.time.after(LONG_MS, () => {
    proxy.isMute = false;
  });
  return true;
}
