// Handoff: an app of one process, which dies if another one runs, is deployed under load. No request fails, and no two of its processes live at
// once, as they write down themselves and as the machine's process table has it; also while the driver, a gate, a proxy and an agent die.

import { setTimeout as delay } from "node:timers/promises";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { Sample } from "../../node/cli/demo/load-client.ts";
import type { AppView } from "../../node/deploy/app-view.ts";
import type { StoriesView } from "../../node/deploy/story-view.ts";
import { AloneApp, type Lifetime, overlaps } from "../harness/alone-app.ts";
import { getJson, PATIENCE_MS, until, untilView } from "../harness/observe.ts";
import { failures, NO_FAILURES, Scenario } from "../harness/scenario.ts";

const ROUNDS = Number(process.env["HANDOFF_ROUNDS"] ?? 3);
/** `HANDOFF_RATE=100` loads it more: its members share the machine, and what they do for requests takes the time that is measured. */
const RATE_PER_SECOND = Number(process.env["HANDOFF_RATE"] ?? 50);
/** `HANDOFF_HOSTS=1 HANDOFF_PROXIES=2` measures with so few alone: of those that die in the middle others must be left. */
const HOSTS = Number(process.env["HANDOFF_HOSTS"] ?? 4);
const PROXIES = Number(process.env["HANDOFF_PROXIES"] ?? 3);
const areEnough = HOSTS >= 4 && PROXIES >= 3;
/** An agent that nobody kills here. */
const OBSERVER = `host-${HOSTS}`;
/** Above the app's `[hold] max_age`: what fails is what the cluster did not keep, and not a client that lost its patience. */
const CLIENT_MS = 35_000;
/** A look reads all of /proc: more often it would take the time that is measured. */
const LOOK_MS = 100;

let scenario: Scenario;
let alone: AloneApp;
let release = 0;
beforeAll(async () => {
  scenario = await Scenario.start({ hosts: HOSTS, proxies: PROXIES });
  alone = new AloneApp(scenario.app());
});
afterAll(async () => {
  await scenario.stop();
  alone.remove();
});

const view = () => getJson<AppView>(`${scenario.api(OBSERVER)}/v1/apps/web`);

function deploy(settings: Parameters<AloneApp["change"]>[0] = {}) {
  release += 1;
  alone.change({ greeting: `v${release}`, ...settings });
  return scenario.start(["deploy", alone.app.file], OBSERVER);
}

async function deployed(): Promise<void> {
  const { code, stdout, stderr } = await deploy().result;
  expect(code, stdout + stderr).toBe(0);
}

/** Looks at the process table until it is told to stop; two VMs of the app at once are named. */
function watchProcesses(): { stop(): Promise<readonly string[]> } {
  const seen = new Set<string>();
  const stopping = new AbortController();
  const looking = (async () => {
    while (!stopping.signal.aborted) {
      const running = scenario.runningVms();
      if (running.length > 1) seen.add(running.join(" "));
      await delay(LOOK_MS);
    }
  })();
  return {
    stop: async () => {
      stopping.abort();
      await looking;
      return [...seen];
    },
  };
}

interface Control {
  readonly commitMs: number;
  readonly ackMs: number;
}

/** What one commit took, and one answer of a proxy, of the deploy that was last: what a hold takes besides is some of each. */
async function lastControl(): Promise<Control> {
  const { rollouts } = await getJson<StoriesView>(`${scenario.api()}/v1/apps/web/rollouts`);
  const steps = rollouts.at(-1)?.steps ?? [];
  const commits = steps.flatMap(({ afterMs, waitedMs }, index) => {
    const next = steps[index + 1]?.afterMs ?? null;
    return next === null || afterMs === null ? [] : [next - afterMs - waitedMs];
  });
  const asked = steps.findLast(({ kind }) => kind === "serve")?.asked ?? [];
  const acks = asked.flatMap(({ kind, ms }) => (kind === "proxy" && ms !== null ? [ms] : []));
  expect([commits.length, acks.length]).toEqual([3, PROXIES]);
  return { commitMs: Math.max(...commits), ackMs: Math.max(...acks) };
}

/** What a handover took of itself, and how long the request waited that waited longest meanwhile. */
function measured(old: Lifetime, next: Lifetime, samples: readonly Sample[]) {
  const endMs = old.endMs ?? Number.NaN;
  const stopMs = endMs - (old.stopMs ?? Number.NaN);
  const startMs = (next.askedMs ?? Number.NaN) - next.beginMs;
  const held = samples.filter(({ dueMs, doneMs }) => dueMs < next.beginMs + startMs && doneMs > endMs);
  const heldMs = Math.max(0, ...held.map(({ dueMs, doneMs }) => doneMs - dueMs));
  return { heldMs, stopMs, startMs, moreMs: heldMs - stopMs - startMs, gapMs: next.beginMs - endMs };
}

function report(lifetimes: readonly Lifetime[], controls: readonly Control[], samples: readonly Sample[]) {
  const rounds = controls.map((control, index) => {
    const [old, next] = lifetimes.slice(index) as [Lifetime, Lifetime];
    return { ...measured(old, next, samples), ...control };
  });
  for (const [index, round] of rounds.entries()) {
    const { heldMs, stopMs, startMs, moreMs, gapMs, commitMs, ackMs } = round;
    process.stdout.write(
      `deploy ${index + 1}: held ${ms(heldMs)} at most: its own stop ${ms(stopMs)}, start and health ${ms(startMs)}, and ${ms(moreMs)} more; ${ms(gapMs)} from one process to the next; one commit ${ms(commitMs)} + one ack round trip ${ms(ackMs)}\n`,
    );
  }
  const longest = rounds.reduce((left, right) => (right.heldMs > left.heldMs ? right : left));
  const { heldMs, moreMs, commitMs, ackMs } = longest;
  process.stdout.write(
    `longest hold of ${rounds.length}: ${ms(heldMs)}, ${ms(moreMs)} more than its own stop + start + health, where one commit + one ack took ${ms(commitMs + ackMs)}; median ${ms(median(rounds.map((round) => round.moreMs)))} more\n`,
  );
}

const monotonicMs = () => Number(process.hrtime.bigint()) / 1e6;
const ms = (value: number) => `${Math.round(value)} ms`;
const median = (values: readonly number[]) =>
  [...values].sort((left, right) => left - right)[values.length >> 1] ?? 0;

test(
  `${ROUNDS} deploys of an app that never runs twice: none of its lifetimes overlaps, and no request fails`,
  async () => {
    await deployed();
    const before = alone.lifetimes().length;
    const load = scenario.loadBeside({ ratePerSecond: RATE_PER_SECOND });
    const watch = watchProcesses();
    const controls: Control[] = [];
    for (let round = 0; round < ROUNDS; round += 1) {
      await deployed();
      controls.push(await lastControl());
    }
    const samples = await load.stop();
    expect(await watch.stop()).toEqual([]);
    const lifetimes = alone.lifetimes().slice(before - 1);
    expect(failures(samples)).toEqual(NO_FAILURES);
    expect(lifetimes).toHaveLength(ROUNDS + 1);
    report(lifetimes, controls, samples);
    expect(overlaps(alone.lifetimes())).toEqual([]);
    expect(alone.locked()).toEqual([]);
    const { stdout } = await scenario.run(["explain", "web"]);
    expect(stdout).toMatch(/requests were held for \d+ ms/);
  },
  PATIENCE_MS + ROUNDS * 10_000,
);

test(
  "a release that cannot run: the old one is started again, gets what was held, and no request fails",
  async () => {
    const load = scenario.loadBeside({ ratePerSecond: 100 });
    const watch = watchProcesses();
    for (const behaviour of ["crash", "unhealthy"] as const) {
      const old = (await view()).release;
      const { code, stdout } = await deploy({ behaviour }).result;
      expect(code, stdout).toBe(1);
      const { vms, release: serving } = await view();
      expect(serving).toBe(old);
      expect(vms.map(({ phase, health }) => [phase, health])).toEqual([["serving", "healthy"]]);
    }
    const samples = await load.stop();
    expect(await watch.stop()).toEqual([]);
    expect(failures(samples)).toEqual(NO_FAILURES);
    expect(overlaps(alone.lifetimes())).toEqual([]);
    expect(alone.locked()).toEqual([]);
  },
  2 * PATIENCE_MS,
);

const isHandingOver = ({ rollout }: AppView) =>
  rollout?.state === "running" && (rollout.step?.kind === "hold" || rollout.step?.kind === "handover");

async function killed(member: string): Promise<void> {
  const pid = scenario.pid(member);
  process.kill(pid, "SIGKILL");
  await until(`another ${member}`, () => (scenario.pid(member) === pid ? null : true));
  await scenario.cluster.ready(member);
}

test(
  "the driver, the gate, the agent of its host and a proxy are killed in the middle: lifetimes stay apart, and what the others send does not fail",
  async (context) => {
    if (!areEnough) context.skip("it kills one after the other of four hosts and three proxies");
    const through = ["proxy-1", "proxy-2"];
    const others = scenario.loadBeside({ ratePerSecond: 60, through, timeoutMs: CLIENT_MS });
    const third = scenario.loadBeside({ ratePerSecond: 30, through: ["proxy-3"], timeoutMs: CLIENT_MS });
    const watch = watchProcesses();
    const victims = [
      ["the driver", async () => (await view()).rollout?.driver ?? ""],
      ["the agent", async () => (await view()).vms[0]?.host ?? ""],
      ["the gate", async () => gateOf((await view()).vms[0]?.host ?? "")],
      ["a proxy", async () => "proxy-3"],
    ] as const;
    const killedBefore = new Set<string>();
    const deaths: { readonly what: string; readonly beginMs: number; readonly endMs: number }[] = [];
    for (const [what, victimOf] of victims) {
      const victim = await victimOf();
      // Who drives may be the agent of its host: one death of it is both.
      if (killedBefore.has(victim)) continue;
      killedBefore.add(victim);
      const beginMs = monotonicMs();
      const running = deploy();
      await untilView(scenario.api(OBSERVER), "web", isHandingOver);
      await killed(victim);
      const { code, stdout, stderr } = await running.result;
      expect(code, `${what}, ${victim}: ${stdout}${stderr}`).toBe(0);
      deaths.push({ what: `${what}, ${victim},`, beginMs, endMs: monotonicMs() });
    }
    const samples = await others.stop();
    for (const { what, beginMs, endMs } of deaths) {
      const during = samples.filter(({ dueMs }) => dueMs >= beginMs && dueMs < endMs);
      const longestMs = Math.max(...during.map(({ dueMs, doneMs }) => doneMs - dueMs));
      process.stdout.write(`${what} was killed: held ${ms(longestMs)} at most\n`);
    }
    await third.stop();
    expect(await watch.stop()).toEqual([]);
    expect(overlaps(alone.lifetimes())).toEqual([]);
    expect(alone.locked()).toEqual([]);
    expect(failures(samples)).toEqual(NO_FAILURES);
  },
  4 * PATIENCE_MS,
);

const gateOf = (host: string) => scenario.view.gates.find((gate) => gate.host === host)?.name ?? "";
