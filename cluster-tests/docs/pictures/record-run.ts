// Record run: one deploy of an app of one VM on a cluster of real agents, gates and proxies, under load, and what was seen of it.

import { randomBytes } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { LoadClient, type Sample } from "../../../node/cli/demo/load-client.ts";
import type { AppView } from "../../../node/deploy/app-view.ts";
import type { PlanView } from "../../../node/deploy/plan-view.ts";
import type { RolloutStory } from "../../../node/deploy/story-view.ts";
import type { AppFolder } from "../../harness/app-folder.ts";
import { getJson, getThroughProxy, untilView } from "../../harness/observe.ts";
import { failures, Scenario } from "../../harness/scenario.ts";
import {
  DEPLOYS,
  type Preview,
  type RecordedRequests,
  type RecordedRun,
  type StrategyName,
} from "./recorded-run.ts";

const APP = "hello";
const CLUSTER = { hosts: 3, proxies: 2 } as const;
/** Enough to see a step of a few dozen milliseconds in, and little beside what a machine of two cores can do. */
const RATE_PER_SECOND = 200;
/** As an app that asks a database: so that something runs on the old VM when it is closed. */
const ANSWER_MS = 60;
/** Through each proxy, of before the deploy and of after it: a quarter of a second is shown of each. */
const REQUESTS_AROUND = 50;
/** Looks at the new release before somebody promotes it. */
const PREVIEWS = 3;

/** Rejects when a request failed, or the deploy took other steps than its plan said: such a run shows nothing. */
export async function recordRun(strategy: StrategyName): Promise<RecordedRun> {
  const folder = mkdtempSync(join(tmpdir(), "gv-picture-"));
  const scenario = await Scenario.start(CLUSTER);
  try {
    const settings = { ...SETTINGS, arrivals: join(folder, "arrivals") };
    const app = scenario.app({ ...settings, greeting: "one" });
    await done(scenario, ["deploy", app.file]);
    app.change({ ...settings, greeting: "two", deploy: DEPLOYS[strategy] });
    return await recordDeploy(scenario, app, { strategy, arrivals: settings.arrivals });
  } finally {
    await scenario.stop();
    rmSync(folder, { recursive: true, force: true });
  }
}

/** A start takes its time on a machine with much to do. */
const SETTINGS = { name: APP, delayMs: ANSWER_MS, gracePeriod: "30s" } as const;

async function recordDeploy(
  scenario: Scenario,
  app: AppFolder,
  { strategy, arrivals }: { readonly strategy: StrategyName; readonly arrivals: string },
): Promise<RecordedRun> {
  const plan = JSON.parse(await done(scenario, ["deploy", app.file, "--plan", "--json"])) as PlanView;
  const before = await getJson<AppView>(`${scenario.api()}/v1/apps/${APP}`);
  const clients = loadOf(scenario);
  let samples: readonly Sample[];
  let previews: RecordedRun["previews"];
  try {
    await Promise.all(clients.map(countRequests));
    previews = await deploy(scenario, app);
    await Promise.all(clients.map(countRequests));
  } finally {
    samples = (await Promise.all(clients.map((client) => client.stop()))).flat();
  }
  const story = JSON.parse(await done(scenario, ["explain", "--json"])) as RolloutStory;
  expectSteps(plan, story);
  const { count, first } = failures(samples);
  if (count > 0) throw new Error(`${count} requests failed: ${JSON.stringify(first)}`);
  return {
    id: randomBytes(4).toString("hex"),
    strategy,
    appFile: readFileSync(app.file, "utf8").trimEnd().split("\n"),
    cluster: CLUSTER,
    ratePerSecond: RATE_PER_SECOND,
    answerMs: ANSWER_MS,
    failed: count,
    story,
    hosts: Object.fromEntries([...placesOf(before), ...placesOfPlan(plan)]),
    requests: requestsOf(readFileSync(arrivals, "utf8"), story),
    previews: previews.map((one) => ({ ...one, atMs: Math.round(one.atMs - story.startedAtMs) })),
  };
}

/** What the command printed. */
async function done(scenario: Scenario, args: readonly string[]): Promise<string> {
  const { code, stdout, stderr } = await scenario.run(args);
  if (code !== 0) throw new Error(`grapevine ${args.join(" ")}: exit code ${code}\n${stdout}${stderr}`);
  return stdout;
}

/** One for each proxy. */
function loadOf({ view: { proxies } }: Scenario): readonly LoadClient[] {
  const ratePerSecond = RATE_PER_SECOND / proxies.length;
  return proxies.map(({ name, http }) => {
    const request = { host: `${APP}.localhost`, path: `/?through=${name}` };
    return new LoadClient({ ...request, targets: [http], ratePerSecond, connections: "both" });
  });
}

async function countRequests(client: LoadClient): Promise<void> {
  let left = REQUESTS_AROUND;
  await client.until(() => --left === 0, AbortSignal.timeout(60_000));
}

/** Where a person has to say so, looks at the new release by its preview name, and promotes it. */
async function deploy(scenario: Scenario, app: AppFolder): Promise<RecordedRun["previews"]> {
  const running = scenario.start(["deploy", app.file]);
  const waits = await untilView(
    scenario.api(),
    APP,
    ({ release, rollout }) =>
      rollout?.step?.kind === "approve" || (rollout?.state === "succeeded" && release === "v2"),
  );
  const previews: Preview[] = [];
  if (waits.rollout?.step?.kind === "approve") {
    for (let looks = 0; looks < PREVIEWS; looks += 1) previews.push(await preview(scenario));
    await done(scenario, ["promote", APP]);
  }
  const { code, stdout, stderr } = await running.result;
  if (code !== 0) throw new Error(`deploy: exit code ${code}\n${stdout}${stderr}`);
  return previews;
}

async function preview(scenario: Scenario): Promise<Preview> {
  const [atMs, proxy] = [Date.now(), "proxy-1"];
  const { status, body } = await getThroughProxy(scenario.proxy(proxy).http, `preview.${APP}.localhost`);
  if (status !== 200) throw new Error(`preview: ${status} ${body}`);
  return { atMs, proxy, vm: (JSON.parse(body) as { readonly vm: string }).vm };
}

function expectSteps(plan: PlanView, story: RolloutStory): void {
  const told = (steps: readonly { readonly kind: string; readonly vms: readonly string[] }[]) =>
    steps.map(({ kind, vms }) => `${kind} ${vms.join(" ")}`).join(", ");
  if (told(plan.steps) !== told(story.steps))
    throw new Error(`the plan said ${told(plan.steps)}, and it was ${told(story.steps)}`);
}

function placesOf({ vms }: AppView): readonly (readonly [string, string])[] {
  return vms.map(({ vm, host }) => [vm, host]);
}

function placesOfPlan({ steps }: PlanView): readonly (readonly [string, string])[] {
  const starts = steps.filter(({ kind }) => kind === "start");
  return starts.flatMap(({ vms, hosts }) => vms.map((vm, index) => [vm, hosts[index] ?? ""] as const));
}

/** Of what VMs wrote down, by proxy and release, those that are within the picture. Driver and VMs have one clock: they are on one machine. */
function requestsOf(text: string, story: RolloutStory): readonly RecordedRequests[] {
  const { startedAtMs, endedAtMs, from, to } = story;
  const endMs = (endedAtMs ?? startedAtMs) - startedAtMs;
  const arrivals = text
    .trimEnd()
    .split("\n")
    .map((line) => {
      const [at, vm = "", proxy = ""] = line.split(" ");
      return { atMs: Number(at) - startedAtMs, vm, proxy };
    });
  const shown = arrivals.filter(({ atMs }) => atMs >= -AROUND_MS && atMs <= endMs + AROUND_MS);
  const proxies = [...new Set(shown.map(({ proxy }) => proxy))].sort();
  return proxies.flatMap((proxy) =>
    [from, to].map((release) => {
      const own = shown.filter((one) => one.proxy === proxy && one.vm.startsWith(`${APP}-${release}-`));
      const atMs = own.map((one) => one.atMs).sort((left, right) => left - right);
      return { proxy, release: release ?? "", atMs };
    }),
  );
}

/** Shown of before the rollout's begin, and of after its end. */
const AROUND_MS = 250;
