// Run: one deploy, or the death of a host, with some faults, to its end. What was violated, if anything was.

import assert from "node:assert/strict";
import {
  type AppRecord,
  isAsleep,
  isExclusive,
  isUnderWay,
  type MemberName,
  memberName,
  messageOf,
  type Rollout,
} from "../../mesh/index.ts";
import type { CommitContext } from "../../node/deploy/core/commits.ts";
import type { RolloutInput } from "../../node/deploy/core/rollout.ts";
import type { Submission } from "../../node/deploy/core/submit.ts";
import { submitRestart, submitScale } from "../../node/deploy/core/submit-scale.ts";
import type { BreakName } from "./breaks.ts";
import type { Fault, FaultName } from "./faults.ts";
import { proxyFactsOf } from "./member-facts.ts";
import { Mover } from "./mover.ts";
import { Person } from "./person.ts";
import { NothingToStrike, type Planned, PlannedFaults } from "./planned-faults.ts";
import { ROLLING, type Scenario } from "./scenarios.ts";
import { type Prepared, SimCluster } from "./sim-cluster.ts";
import { watchDemand } from "./sim-demand.ts";
import { SIM_APP } from "./sim-driver.ts";
import {
  crashHost,
  fenceHost,
  mendHost,
  partHostLong,
  restartDriver,
  resumeDriver,
  startHost,
} from "./strikes.ts";
import { submitTo } from "./submit-to.ts";

export interface RunOptions extends Planned {
  readonly scenario: Scenario;
  readonly broken: BreakName | null;
  /** null: in turn, the same for all. */
  readonly random: (() => number) | null;
  readonly isTold?: boolean;
}

export interface RunResult {
  /** What struck, or may have; null: a single fault found nothing to break, so that the run is none of its own. */
  readonly faults: readonly Fault[] | null;
  /** Of what was to be tried `instead`: what was not. */
  readonly untried: readonly FaultName[];
  readonly events: number;
  readonly commits: number;
  readonly requests: number;
  /** How the deploy ended. */
  readonly state: string;
  readonly violation: string | null;
  /** All that happened, the newest last; empty unless it was to be told. */
  readonly lines: readonly string[];
}

export function run(options: RunOptions): RunResult {
  const { scenario, broken, random, isTold = false } = options;
  let turn = 0;
  const inTurn = (count: number) => {
    turn += 1;
    return turn % count;
  };
  const pick = random === null ? inTurn : (count: number) => Math.floor(random() * count);
  const prepared = preparedOf(scenario);
  const cluster = new SimCluster({ scenario, broken, pick, isTold, prepared });
  const course = new Course(cluster, scenario);
  const planned = new PlannedFaults(options);
  const resultOf = (violation: string | null): RunResult => {
    const { events, requests, register, lines } = cluster;
    const { faults, untried } = planned;
    const { state } = course;
    return { faults, untried, events, requests, commits: register.commits, state, lines, violation };
  };
  try {
    settle(cluster);
    cluster.onEvent = () => planned.strikeDue(cluster);
    course.begin();
    cluster.runUntilQuiet();
    const canDrive = cluster.drivers.some(({ condition }) => condition === "up");
    const isOver = !isUnderWay(cluster.record?.rollout);
    assert.ok(isOver || !canDrive, "liveness: the rollout does not end by itself");
    // Twice, if it comes to something: only when all are back it may come to what disturbs them.
    for (let round = 0, seen = -1; round < 2 && seen !== cluster.register.commits; round += 1) {
      seen = cluster.register.commits;
      heal(cluster);
      course.look();
      cluster.runUntilQuiet();
    }
    course.judgeEnd();
    return resultOf(null);
  } catch (error) {
    return resultOf(error instanceof NothingToStrike ? null : messageOf(error));
  }
}

const PREPARED = new Map<string, Prepared>();

/** Where the old release serves. The same for all runs of a scenario: it is come to once. */
function preparedOf(scenario: Scenario): Prepared | null {
  const { before, gate, deploy, spec } = scenario;
  if (before === 0) return null;
  // Of an app that never runs twice the release that serves says so too.
  const first = isExclusive(scenario) ? deploy : ROLLING;
  const key = `${before} ${gate} ${first.strategy} ${JSON.stringify(spec)}`;
  const known = PREPARED.get(key);
  if (known !== undefined) return known;
  let turn = 0;
  const pick = (count: number) => {
    turn += 1;
    return turn % count;
  };
  const cluster = new SimCluster({ scenario, broken: null, pick, isTold: false, prepared: null });
  begin(submitTo(cluster, scenario, { count: before, deploy: first, hash: "old" }));
  cluster.runUntilQuiet();
  assert.equal(cluster.record?.rollout?.state, "succeeded");
  PREPARED.set(key, cluster.prepared);
  return cluster.prepared;
}

/** Everybody has told everybody what there is. From here on events are counted. */
function settle(cluster: SimCluster): void {
  cluster.runUntilQuiet();
  cluster.events = 0;
  cluster.lines.length = 0;
}

/** That it cannot be meant is a mistake of the scenario. */
function begin(submission: Submission): void {
  assert.equal(submission.code, "begin", JSON.stringify(submission));
}

/** All that was wrong is mended: from here on everything must come to its end. */
function heal(cluster: SimCluster): void {
  cluster.onEvent = () => {};
  cluster.say(() => "all is mended");
  cluster.register.isAway = false;
  for (const host of cluster.hosts.values()) {
    startHost(cluster, host);
    mendHost(cluster, host);
    for (const vm of host.vms.values()) host.answerAgain(vm);
  }
  for (const driver of cluster.drivers) {
    restartDriver(cluster, driver);
    resumeDriver(cluster, driver);
    cluster.heldDead.delete(driver.name);
  }
  for (const proxy of cluster.proxies.values()) {
    proxy.isCut = false;
    proxy.isMute = false;
  }
  cluster.away.clear();
  cluster.dead.clear();
  cluster.tellMembers();
}

/** Nothing is deployed in these. */
const OF_HOSTS: readonly Scenario["disturbance"][] = [
  "host-dies",
  "host-fenced",
  "host-parted",
  "host-drains",
];

/** Of what is asked in place of a deploy. */
const KINDS: Partial<Record<Scenario["disturbance"], Rollout["kind"]>> = {
  scales: "scale",
  restarts: "restart",
  sleeps: "wake",
};

/** Until many come at once, so many of each proxy. */
const ASLEEP_MS = 50;
const AT_ONCE = 5;

/** The step at which it comes. */
const DISTURBED: Partial<Record<Scenario["disturbance"], readonly string[]>> = {
  "proxy-cut": ["cordon", "flip", "hold"],
  "proxy-behind": ["start"],
  "proxy-joins": ["serve", "standby"],
};

/** What a scenario asks for, and what must be true at its end. */
class Course {
  readonly #cluster: SimCluster;
  readonly #scenario: Scenario;
  readonly #person: Person;
  #mover: Mover | null = null;
  #hasDisturbed = false;
  /** How the deploy ended that another one superseded; a repair may follow that. */
  #superseded: NonNullable<Rollout["superseded"]> | null = null;
  /** How the deploy, or the repair, ended. */
  state = "none";

  constructor(cluster: SimCluster, scenario: Scenario) {
    this.#cluster = cluster;
    this.#scenario = scenario;
    this.#person = new Person(cluster, scenario);
  }

  begin(): void {
    const { count, deploy, disturbance } = this.#scenario;
    const cluster = this.#cluster;
    cluster.onCommit = () => this.#noteCommit();
    const asked = (of: (context: CommitContext) => Submission) =>
      begin(cluster.submit(({ machine }) => of(machine.context(cluster.time.nowMs))));
    if (disturbance === "scales") {
      asked((context) => submitScale(cluster.committed, { app: SIM_APP, count }, context));
      return;
    }
    if (disturbance === "restarts") {
      asked((context) => submitRestart(cluster.committed, SIM_APP, context));
      return;
    }
    if (disturbance === "sleeps") {
      cluster.isQuiet = true;
      watchDemand(cluster, () => !this.#hasDisturbed);
      return;
    }
    if (this.#isDeploy) {
      begin(
        submitTo(cluster, this.#scenario, {
          count,
          deploy,
          hash: disturbance === "launches" ? "old" : "new",
        }),
      );
      return;
    }
    // The last: it drives nothing, so that who drives is another fault.
    const leaving = [...cluster.hosts.values()].findLast(({ vms }) => vms.size > 0);
    if (leaving === undefined) return;
    if (disturbance === "host-dies") crashHost(cluster, leaving, 0);
    else if (disturbance === "host-fenced") fenceHost(cluster, leaving);
    else if (disturbance === "host-parted") partHostLong(cluster, leaving);
    else this.#mover = new Mover(cluster, leaving.name);
    this.look();
  }

  /** Nobody may be told of anything any more, and all the same something can begin. */
  look(): void {
    this.#mover?.look();
  }

  judgeEnd(): void {
    const { record, hosts } = this.#cluster;
    const { fate, count, before, disturbance } = this.#scenario;
    const rollout = record?.rollout;
    assert.ok(
      record != null && rollout != null && !isUnderWay(rollout),
      "liveness: the rollout does not end",
    );
    const names = record.vms.map(({ vm }) => vm).sort();
    const running = [...hosts.values()].flatMap(({ vms }) => [...vms.keys()]).sort();
    assert.deepEqual(running, names, "no-orphan: what runs is not what the record wants");
    const waiting = [...this.#cluster.proxies.values()].flatMap(({ requests }) => [...requests]);
    const [lost] = waiting.filter(({ isWaiting }) => isWaiting);
    assert.ok(lost === undefined, `no-failed-request: request ${lost?.number} is never answered`);
    const isNone = isAsleep(record) || (disturbance === "launches" && this.state !== "succeeded");
    if (isNone && record.vms.length === 0) return;
    const serving = record.vms.filter(({ phase }) => phase === "serving");
    assert.ok(serving.length > 0, "no-failed-request: nothing serves");
    assert.equal(serving.length, record.vms.length, "no-orphan: something is left that does not serve");
    this.#judgeDrained(record);
    // Where it could neither go on nor back, what serves goes on serving.
    if (this.state === "failed") return;
    if (KINDS[disturbance] !== undefined) {
      this.#cluster.assertServes([1], this.state === "succeeded" ? count : before);
      return;
    }
    const hasSucceeded = this.#isDeploy && this.state === "succeeded";
    if (this.#superseded !== null) {
      this.#judgeSuperseding(this.#superseded, hasSucceeded);
      return;
    }
    // Of a deploy back that failed, because the old VM is not well, the new one serves on.
    const isNew = disturbance === "rolls-back" ? record.current === 2 : hasSucceeded;
    const staysNew = disturbance === "rolls-back" && isNew;
    // Also a host that was cut off: what it does not close is not gone back from.
    assert.ok(
      !staysNew || this.#cluster.isAnyHarmed,
      "no-false-success: nothing went back, though all were well",
    );
    const newest = disturbance === "launches" ? 1 : 2;
    this.#cluster.assertServes([isNew ? newest : 1], isNew ? count : before);
    const canSucceed = fate === "healthy" || fate === "slow" || fate === "breaks-late";
    assert.ok(!isNew || canSucceed, "no-false-success: a release that does not start succeeded");
  }

  get #isDeploy(): boolean {
    const { disturbance } = this.#scenario;
    return !OF_HOSTS.includes(disturbance) && KINDS[disturbance] === undefined;
  }

  #judgeDrained({ vms }: AppRecord): void {
    const { draining } = this.#cluster;
    const left = vms.filter(({ host }) => draining.has(host)).map(({ vm }) => vm);
    assert.deepEqual(left, [], "liveness: a host is drained, and not empty");
  }

  /** What followed the deploy serves, or what that had come to. */
  #judgeSuperseding({ state }: { readonly state: string }, hasSucceeded: boolean): void {
    const { count, before, disturbance } = this.#scenario;
    const first = disturbance === "launches" ? 0 : 1;
    const hadTakenOver = state === "succeeded";
    // Of one that could go neither on nor back what serves is judged above.
    if (!hasSucceeded && state === "failed") return;
    this.#cluster.assertServes(
      [hasSucceeded ? first + 2 : hadTakenOver ? first + 1 : first],
      hasSucceeded || hadTakenOver ? count : before,
    );
  }

  /** The rollout that the scenario is about. */
  #isMeant({ kind }: Rollout): boolean {
    const within = KINDS[this.#scenario.disturbance];
    if (within !== undefined) return kind === within;
    return this.#isDeploy ? kind === "deploy" : kind === "repair" || kind === "move";
  }

  #noteCommit(): void {
    const { rollout } = this.#cluster.record ?? {};
    this.#superseded = rollout?.superseded ?? this.#superseded;
    if (rollout != null && this.#isMeant(rollout) && !isUnderWay(rollout)) this.state = rollout.state;
    this.#person.noteCommit();
    this.#disturb();
    if (!isUnderWay(rollout)) this.look();
  }

  /** Once: when an old VM has been cordoned, or the new ones are about to be reached. */
  #disturb(): void {
    const { disturbance } = this.#scenario;
    const { rollout } = this.#cluster.record ?? {};
    const isTime = DISTURBED[disturbance] ?? [];
    const { record } = this.#cluster;
    if (disturbance === "sleeps" && !this.#hasDisturbed && record !== null && isAsleep(record)) {
      this.#hasDisturbed = true;
      this.#cluster.time.after(ASLEEP_MS, () => this.#cluster.burst(AT_ONCE));
    }
    if (this.#hasDisturbed || rollout?.from == null || !isTime.includes(rollout.step?.kind ?? "")) return;
    this.#hasDisturbed = true;
    if (disturbance !== "proxy-joins") this.#cutProxy(memberName("proxy-2"));
    if (disturbance === "proxy-joins") this.#join("proxy-3");
  }

  #cutProxy(name: MemberName): void {
    const cluster = this.#cluster;
    const proxy = cluster.proxies.get(name);
    if (proxy !== undefined) proxy.isCut = true;
    cluster.away.add(name);
    cluster.tellMembers();
  }

  #join(name: string): void {
    const cluster = this.#cluster;
    const joiner = { proxy: memberName(name), registered: true, connected: true };
    const told: RolloutInput = { kind: "proxies", proxies: [...proxyFactsOf(cluster, null), joiner] };
    cluster.joining = { name, told };
    cluster.tellAll(told);
  }
}
