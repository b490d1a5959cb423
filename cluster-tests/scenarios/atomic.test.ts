// An atomic cutover under load, and its way back: by the order in which requests arrived at VMs, and by what clients got, no request reaches
// the old release once one reached the new one, while proxies are frozen and cut off, a gate dies between close and flip, and a host is slow.

import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { Sample } from "../../node/cli/demo/load-client.ts";
import type { AppView } from "../../node/deploy/app-view.ts";
import type { RolloutStory } from "../../node/deploy/story-view.ts";
import type { AppFolder, AppSettings } from "../harness/app-folder.ts";
import type { CliResult } from "../harness/cli.ts";
import { type CutOffProxy, cutOffProxy } from "../harness/cut-off-proxy.ts";
import { type LoadBeside, loadBeside } from "../harness/load-beside.ts";
import { getJson, PATIENCE_MS, until, untilView } from "../harness/observe.ts";
import { failures, NO_FAILURES, Scenario } from "../harness/scenario.ts";

/** Cutovers, and as many rollbacks. */
const ROUNDS = Number(process.env["ATOMIC_ROUNDS"] ?? 2);
/** Requests a second: so few that a machine with too much to do still serves them. */
const RATE = Number(process.env["ATOMIC_RATE"] ?? 100);
/** Of them through the proxy that is cut off: who hears no commit learns of each from a gate that refuses. */
const THIRD_RATE = RATE / 10;
const COUNT = 4;
const ATOMIC = ['strategy = "bluegreen"', 'approval = "manual"', 'keep_old = "1h"', 'cutover = "atomic"'];

let scenario: Scenario;
let app: AppFolder;
let third: CutOffProxy;
const loads: LoadBeside[] = [];
let isCutOff = false;
beforeAll(async () => {
  scenario = await Scenario.start({ hosts: 4, proxies: 2 });
  third = await cutOffProxy(scenario.cluster.stateDir);
  app = scenario.app();
});
afterAll(async () => {
  for (const load of loads) load.kill();
  await third?.stop();
  await scenario.stop();
  rmSync(folder, { recursive: true, force: true });
});

const view = () => getJson<AppView>(`${scenario.api()}/v1/apps/web`);
/** Not beside the app, which is packed while it grows. */
const folder = mkdtempSync(join(tmpdir(), "grapevine-arrivals-"));
const arrivals = () => join(folder, "arrivals");
const settings = (greeting: string): AppSettings => {
  return { greeting, count: COUNT, arrivals: arrivals(), deploy: ATOMIC };
};

function loadAt(targets: readonly string[], ratePerSecond: number): LoadBeside {
  const path = "/?through=clients";
  return loadBeside({ targets, host: "web.localhost", path, ratePerSecond, connections: "both" });
}

/** What reached a VM, in the order in which it did. */
function arrived(): readonly { readonly atMs: number; readonly release: number }[] {
  const lines = readFileSync(arrivals(), "utf8").trimEnd().split("\n");
  return lines.map((line) => {
    const [atMs = "", vm = ""] = line.split(" ");
    return { atMs: Number(atMs), release: Number(/-v(\d+)-/.exec(vm)?.[1]) };
  });
}

/** A host whose gate stands before a VM that serves, and that is neither voter nor asked by the commands, if there is one. */
async function hostOfServing(): Promise<string> {
  const hosts = (await view()).vms.flatMap(({ phase, host }) => (phase === "serving" ? [host] : []));
  expect(new Set(hosts).size).toBe(COUNT);
  return "host-4";
}

const gateOf = (host: string) => scenario.view.gates.find((gate) => gate.host === host)?.name ?? "";

/** The step in force is the hold, and no other gate than this is missing. */
function waitsAlone(host: string): (view: AppView) => boolean {
  return ({ rollout }) => {
    const waits = rollout?.step?.kind === "hold" ? rollout.step.waitingFor : [];
    return waits.length > 0 && waits.every(({ who }) => who === host);
  };
}

const isPast = ({ rollout }: AppView) =>
  rollout?.step?.kind === "flip" || (rollout?.state !== "running" && rollout?.step?.kind !== "hold");

async function frozen<Result>(pids: readonly number[], during: () => Promise<Result>): Promise<Result> {
  for (const pid of pids) process.kill(pid, "SIGSTOP");
  try {
    return await during();
  } finally {
    for (const pid of pids) process.kill(pid, "SIGCONT");
  }
}

/** Each has the switch begin, and resolves with its end. */
type Disturbance = (begin: () => Promise<CliResult>) => Promise<CliResult>;

const DISTURBANCES: readonly (readonly [string, Disturbance])[] = [
  [
    "a proxy is frozen",
    async (begin) => {
      const { end } = await frozen([scenario.pid("proxy-2")], async () => {
        const running = begin();
        await untilView(scenario.api(), "web", isPast);
        return { end: running };
      });
      return end;
    },
  ],
  [
    "a proxy is cut off",
    async (begin) => {
      if (!isCutOff) {
        await third.cutOff();
        isCutOff = true;
        const excluded = await scenario.run(["proxy", "exclude", third.name]);
        expect(excluded, excluded.stderr).toMatchObject({ code: 0 });
      }
      return begin();
    },
  ],
  [
    "a gate is killed between close and flip",
    async (begin) => {
      const slow = await hostOfServing();
      const dies = gateOf("host-3");
      const { end } = await frozen([scenario.pid(gateOf(slow))], async () => {
        const running = begin();
        await untilView(scenario.api(), "web", waitsAlone(slow));
        const pid = scenario.pid(dies);
        process.kill(pid, "SIGKILL");
        await until(`another ${dies}`, () => (scenario.pid(dies) === pid ? null : true));
        await scenario.cluster.ready(dies);
        return { end: running };
      });
      return end;
    },
  ],
  [
    "a host is slow",
    async (begin) => {
      const slow = await hostOfServing();
      const { end } = await frozen([scenario.pid(slow), scenario.pid(gateOf(slow))], async () => {
        const running = begin();
        await untilView(scenario.api(), "web", waitsAlone(slow));
        return { end: running };
      });
      return end;
    },
  ],
];

interface Switch {
  readonly what: string;
  /** Null: nothing disturbs it. */
  readonly disturbance: string | null;
  /** From the hold's commit to the decision that it is over. */
  readonly heldMs: number;
  readonly commitMs: number;
  readonly ackMs: number;
}

/** What one commit and one answer took, of the steps of the rollout that was last. */
async function measured(): Promise<Pick<Switch, "heldMs" | "commitMs" | "ackMs">> {
  const { stdout } = await scenario.run(["explain", "web", "--json"]);
  const { steps } = JSON.parse(stdout) as RolloutStory;
  const hold = steps.findIndex(({ kind }) => kind === "hold");
  const [held, flip] = [steps[hold], steps[hold + 1]];
  expect([held?.kind, flip?.kind]).toEqual(["hold", "flip"]);
  const after = steps[hold + 2]?.afterMs;
  const commitMs = [
    (flip?.afterMs ?? 0) - (held?.afterMs ?? 0) - (held?.waitedMs ?? 0),
    ...(after == null ? [] : [after - (flip?.afterMs ?? 0) - (flip?.waitedMs ?? 0)]),
  ];
  const acks = (flip?.asked ?? []).flatMap(({ kind, ms }) => (kind === "proxy" && ms !== null ? [ms] : []));
  return { heldMs: held?.waitedMs ?? 0, commitMs: Math.max(...commitMs), ackMs: Math.max(0, ...acks) };
}

let switches = 0;

async function change(what: string, begin: () => Promise<CliResult>): Promise<Switch> {
  const index = switches;
  switches += 1;
  // Of two neighbours one, and cutovers and rollbacks in turn.
  const isDisturbed = (index >> 1) % 2 === index % 2;
  const [name, disturb] = DISTURBANCES[(index >> 1) % DISTURBANCES.length] ?? ["", (go) => go()];
  const { code, stdout, stderr } = await (isDisturbed ? disturb(begin) : begin());
  // Who was away when it ended is named.
  expect(isCutOff || isDisturbed ? [0, 6] : [0], `${what}: ${stdout}${stderr}`).toContain(code);
  return { what, disturbance: isDisturbed ? name : null, ...(await measured()) };
}

/**
 * Once a client got an answer from the new release, no request that it sends later gets the old one. Of one process: others have clocks of
 * their own. What was sent before that answer may come after it: it was on its way.
 */
function goingsBack(samples: readonly Sample[], order: readonly number[]): readonly Sample[] {
  const back: Sample[] = [];
  let at = 0;
  let firstMs = 0;
  for (const sample of [...samples].sort((left, right) => left.doneMs - right.doneMs)) {
    const release = Number(sample.release?.slice(1));
    if (release === order[at] || sample.dueMs <= firstMs) continue;
    if (release !== order[at + 1]) back.push(sample);
    else {
      at += 1;
      firstMs = sample.doneMs;
    }
  }
  return back;
}

test(
  `${ROUNDS} atomic cutovers and as many rollbacks at ${RATE} requests a second: none reaches the old release after the new one, and none fails`,
  async () => {
    app.change({ ...settings("v1"), deploy: [] });
    expect(await scenario.run(["deploy", app.file])).toMatchObject({ code: 0 });
    await until("an answer of each proxy", async () => ((await third.get()).status === 200 ? true : null));
    loads.push(
      loadAt(
        scenario.view.proxies.map(({ http }) => http),
        RATE - THIRD_RATE,
      ),
    );
    loads.push(loadAt([third.http], THIRD_RATE));
    const order = [1];
    const done: Switch[] = [];
    for (let round = 1; round <= ROUNDS; round += 1) {
      const next = round + 1;
      app.change(settings(`v${next}`));
      const deploy = scenario.start(["deploy", app.file]);
      await deploy.waitFor(/submitted/);
      await untilView(scenario.api(), "web", ({ rollout }) => rollout?.step?.kind === "approve");
      const promote = async () => {
        await scenario.run(["promote", "web"]);
        return deploy.result;
      };
      done.push(await change(`cutover to v${next}`, promote));
      done.push(
        await change(`rollback from v${next}`, () => scenario.run(["rollback", "web", "--to", "v1"])),
      );
      order.push(next, 1);
    }
    const ofLoads = await Promise.all(loads.map((load) => load.stop()));
    const samples = ofLoads.flat();
    report(done);
    reportFailed(samples);
    expect(failures(samples)).toEqual(NO_FAILURES);
    const log = arrived();
    const runs = log.filter(({ release }, index) => release !== log[index - 1]?.release);
    expect(runs.map(({ release }) => release)).toEqual(order);
    for (const own of ofLoads) expect(goingsBack(own, order)).toEqual([]);
    expect(new Set(samples.map(({ target }) => target)).size).toBe(3);
  },
  (1 + ROUNDS) * PATIENCE_MS,
);

/** Through whom, when, and of how many. */
function reportFailed(samples: readonly Sample[]): void {
  const startMs = samples.reduce((least, { dueMs }) => Math.min(least, dueMs), Number.POSITIVE_INFINITY);
  for (const target of new Set(samples.map((sample) => sample.target))) {
    const own = samples.filter((sample) => sample.target === target);
    const times = own.flatMap(({ status, dueMs }) => (status === 200 ? [] : [dueMs - startMs]));
    const name = scenario.view.proxies.find(({ http }) => http === target)?.name ?? third.name;
    const when =
      times.length === 0
        ? ""
        : `, due ${Math.round(Math.min(...times))} to ${Math.round(Math.max(...times))} ms after the first`;
    process.stdout.write(`${name}: ${times.length} of ${own.length} failed${when}\n`);
  }
}

function report(done: readonly Switch[]): void {
  const log = arrived();
  const changes = log.flatMap(({ atMs, release }, index) => {
    const before = log[index - 1];
    return before === undefined || before.release === release ? [] : [atMs - before.atMs];
  });
  process.stdout.write(`${log.length} requests at VMs, ATOMIC_ROUNDS=${ROUNDS}\n`);
  for (const [index, { what, disturbance, heldMs, commitMs, ackMs }] of done.entries()) {
    const why = disturbance === null ? "" : `, while ${disturbance}`;
    process.stdout.write(
      `${what}: held for ${Math.round(heldMs)} ms, ${changes[index]} ms without a request at any VM; one commit ${Math.round(commitMs)} ms, one ack round trip ${Math.round(ackMs)} ms${why}\n`,
    );
  }
  // As a request meets it: until the gates are closed, and until the commit that follows is there.
  const holds = done.map(({ heldMs, commitMs }) => heldMs + commitMs);
  const calm = done.flatMap(({ disturbance }, index) => (disturbance === null ? [holds[index] ?? 0] : []));
  const costs = done.map(({ commitMs, ackMs }) => commitMs + ackMs);
  process.stdout.write(
    `longest hold ${Math.round(Math.max(...holds))} ms, undisturbed ${Math.round(Math.max(...calm))} ms; one commit + one ack at most ${Math.round(Math.max(...costs))} ms\n`,
  );
}
