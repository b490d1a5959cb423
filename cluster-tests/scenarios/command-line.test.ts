// The command line against a real cluster: what each kind of input gets, and what becomes of a command whose agent dies.

import { truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, expect, onTestFinished, test } from "vitest";
import { endOfEvents, parseEvents } from "../../node/cli/event-stream.ts";
import { BUNDLE_BYTES_MAX } from "../../node/releases/bundle-limits.ts";
import type { AppFolder } from "../harness/app-folder.ts";
import type { CliResult } from "../harness/cli.ts";
import { getThroughProxy, until, untilView } from "../harness/observe.ts";
import { Scenario } from "../harness/scenario.ts";

let scenario: Scenario;
let app: AppFolder;
beforeAll(async () => {
  scenario = await Scenario.start({ hosts: 3, proxies: 1 });
  app = scenario.app({ greeting: "one" });
  expect(await scenario.run(["deploy", app.file])).toMatchObject({ code: 0 });
});
afterAll(() => scenario.stop());

const text = (result: CliResult): string => result.stdout + result.stderr;

/** Freezes the proxy until `thaw`: a rollout that began goes on only then. */
function freezeProxy(): { thaw: () => void } {
  const pid = scenario.pid("proxy-1");
  process.kill(pid, "SIGSTOP");
  // Also when the test fails before: those after it need the proxy.
  const thaw = (): void => void process.kill(pid, "SIGCONT");
  onTestFinished(thaw);
  return { thaw };
}

const waitsForProxy = (view: {
  rollout: { step: { waitingFor: readonly { who: string }[] } | null } | null;
}) => view.rollout?.step?.waitingFor[0]?.who === "proxy-1";

test.each([
  {
    what: "an unknown key",
    toml: 'name = "x"\ncomand = ["node"]\n',
    says: /:2: comand: .*did you mean `command`/,
  },
  { what: "a wrong type", toml: 'name = "x"\ncount = "2"\ncommand = ["node"]\n', says: /:2: count: must be/ },
  { what: "no command", toml: 'name = "x"\n', says: /:1: command: is missing/ },
  { what: "no TOML", toml: 'name = "x\n', says: /:1: not valid TOML/ },
  { what: "an empty file", toml: "", says: /:1: name: is missing/ },
])("a file with $what gets exit 2, its line, and nothing is deployed", async ({ toml, says }) => {
  const bad = join(app.path, "bad.toml");
  writeFileSync(bad, toml);
  const result = await scenario.run(["deploy", bad]);
  expect(result).toMatchObject({ code: 2, stdout: "" });
  expect(result.stderr).toMatch(says);
});

test.each([
  { args: ["deploy", "no-such.toml"], says: /no such file/ },
  { args: ["deploy", "."], says: /is not a file/ },
  { args: ["deploi"], says: /Did you mean deploy/ },
  { args: ["deploy", "--strategy", "rollling", "FILE"], says: /did you mean rolling/ },
  { args: ["deploy", "--wait-timeout", "5", "FILE"], says: /--wait-timeout must be a duration/ },
  { args: ["status", "nope"], says: /no app nope/ },
  { args: ["destroy", "nope"], says: /no app nope/ },
  { args: ["vm", "stop", "nope"], says: /no VM nope/ },
  { args: ["logs", "nope"], says: /no host has a VM nope/ },
  { args: ["logs", "web-v1-1", "--lines", "many"], says: /--lines must be a whole number/ },
  { args: ["status", "--api", "http://127.0.0.1:1"], says: /no agent reachable.*connection refused/ },
  { args: ["status", "--api", "nonsense"], says: /--api must be http:/ },
])("$args gets exit 2 and a word of what to do", async ({ args, says }) => {
  const result = await scenario.run(args.map((arg) => (arg === "FILE" ? app.file : arg)));
  expect(result).toMatchObject({ code: 2, stdout: "" });
  expect(result.stderr).toMatch(says);
  expect(result.stderr.split("\n").length).toBeLessThan(6);
});

interface ToldStep {
  readonly number: number;
  readonly kind: string;
  readonly vms: readonly string[];
  readonly asks?: readonly { readonly who: string; readonly what: string }[];
  readonly asked?: readonly { readonly who: string; readonly what: string; readonly ms: number | null }[];
}

test("whom a plan names the deploy waits for, and explain tells of afterwards, from any host", async () => {
  const before = (await scenario.run(["status", "web", "--json"])).stdout;
  const plan = JSON.parse((await scenario.run(["deploy", app.file, "--plan", "--json"])).stdout);
  expect((await scenario.run(["history", "web"])).stdout).not.toContain(plan.rollout);
  expect(JSON.parse(before).epoch).toBe(plan.epoch);
  expect(await scenario.run(["deploy", app.file])).toMatchObject({ code: 0 });
  const story = JSON.parse((await scenario.run(["explain", plan.rollout, "--json"], "host-3")).stdout);
  const foreseen = plan.steps.map(({ number, kind, vms, asks = [] }: ToldStep) => {
    return { number, kind, vms, asks: asks.map(({ who, what }) => `${who} ${what}`) };
  });
  const told = story.steps.map(({ number, kind, vms, asked = [] }: ToldStep) => {
    return { number, kind, vms, asks: asked.map(({ who, what }) => `${who} ${what}`) };
  });
  expect(told).toEqual(foreseen);
  expect(
    story.steps.flatMap(({ asked = [] }: ToldStep) => asked).filter(({ ms }: { ms: unknown }) => ms === null),
  ).toEqual([]);
  expect((await scenario.run(["history", "web"])).stdout).toContain(plan.rollout);
});

test("a folder that is too large is refused before anything is sent", async () => {
  const large = scenario.app({ name: "large" });
  const hole = join(large.path, "hole");
  writeFileSync(hole, "");
  truncateSync(hole, BUNDLE_BYTES_MAX);
  const result = await scenario.run(["deploy", large.file]);
  expect(result, text(result)).toMatchObject({ code: 2 });
  expect(result.stderr).toMatch(/\.grapevineignore/);
});

test("while a deploy runs another gets 4, the same file joins it, Ctrl-C detaches with 3 and it goes on", async () => {
  const proxy = freezeProxy();
  app.change({ greeting: "two" });
  const deploy = scenario.start(["deploy", app.file]);
  const { rollout } = await untilView(scenario.api(), "web", waitsForProxy);

  const other = scenario.app({ greeting: "somebody else's" });
  const locked = await scenario.run(["deploy", other.file]);
  expect(locked, text(locked)).toMatchObject({ code: 4 });
  expect(locked.stderr).toContain(rollout?.id);
  expect(locked.stderr).toMatch(/grapevine status web/);

  const joined = scenario.start(["deploy", app.file], "host-2");
  await joined.waitFor(/joined it/);
  deploy.process.kill("SIGINT");
  const detached = await deploy.result;
  expect(detached, text(detached)).toMatchObject({ code: 3 });
  expect(detached.stdout).toMatch(/detached; the rollout goes on/);

  proxy.thaw();
  const ended = await joined.result;
  expect(ended, text(ended)).toMatchObject({ code: 0 });
  expect(ended.stdout).toContain(`${rollout?.id}: on its way already`);
});

test("with --json a deploy is a stream of events: what was submitted, each step that ended, the end", async () => {
  app.change({ greeting: "told in JSON" });
  const { code, stdout, stderr } = await scenario.run(["deploy", app.file, "--json"]);
  const events = parseEvents(stdout);
  const steps = events.filter(({ event }) => event === "step").map((step) => Object(step).kind as string);
  expect(events[0]).toMatchObject({ event: "submitted", app: "web", joined: false });
  expect(steps).toEqual(["start", "serve", "cordon", "stop"]);
  expect({ code, stderr, ...endOfEvents(stdout) }).toMatchObject({
    code: 0,
    stderr: "",
    app: "web",
    state: "succeeded",
    exitCode: 0,
    steps: expect.any(Array),
  });
});

test.each(["host-2", "host-1"])(
  "a deploy goes on when the agent that it asks, %s, is killed in the middle",
  async (host) => {
    const proxy = freezeProxy();
    app.change({ greeting: `killed ${host}` });
    const deploy = scenario.start(["deploy", app.file], host);
    await deploy.waitFor(/waiting for proxy-1/);
    const killed = scenario.pid(host);
    process.kill(killed, "SIGKILL");
    await deploy.waitFor(/does not answer; asking another/);
    await until("its new process", () => (scenario.pid(host) === killed ? null : true));
    await scenario.cluster.ready(host);
    proxy.thaw();
    const result = await deploy.result;
    expect(result, text(result)).toMatchObject({ code: 0 });
    expect(result.stdout).toMatch(/serves on every proxy with 1 VM/);
  },
);

test("status, members, vms, routes and logs say what runs, in JSON too", async () => {
  const { stdout } = await scenario.run(["status", "web", "--json"]);
  const view = JSON.parse(stdout) as { release: string; vms: { vm: string }[] };
  const vm = view.vms[0]?.vm ?? "";
  expect(view).toMatchObject({
    app: "web",
    epoch: expect.any(Number),
    weights: { [view.release]: 100 },
    rollout: { id: `web-${view.release}`, state: "succeeded", driver: "host-1", step: null },
  });
  const members = JSON.parse((await scenario.run(["members", "--json"])).stdout) as { name: string }[];
  expect(members).toEqual(
    ["host-1", "host-2", "host-3", "proxy-1"].map((name) => ({
      name,
      role: name.startsWith("host") ? "host" : "proxy",
      api: name.startsWith("host") ? scenario.api(name) : scenario.proxy(name).admin,
      pid: scenario.pid(name),
      state: "alive",
      forSeconds: expect.any(Number),
      why: "",
    })),
  );
  for (const command of ["vms", "routes"]) expect((await scenario.run([command])).stdout).toContain(vm);
  expect(await scenario.run(["logs", vm], "host-3")).toMatchObject({ code: 0, stdout: "listening\n" });
});

test("vm stop takes one VM of two, destroy all; each returns when it is so", async () => {
  app.change({ greeting: "two of them", count: 2 });
  expect(await scenario.run(["deploy", app.file])).toMatchObject({ code: 0 });
  const [first, second] = scenario.runningVms();
  const stopped = await scenario.run(["vm", "stop", first ?? ""]);
  expect(stopped, text(stopped)).toMatchObject({ code: 0 });
  expect(scenario.runningVms()).toEqual([second]);

  const destroyed = await scenario.run(["destroy", "web", "--json"]);
  expect(destroyed, text(destroyed)).toMatchObject({ code: 0 });
  expect(endOfEvents(destroyed.stdout)).toMatchObject({ app: "web", state: "succeeded", exitCode: 0 });
  expect(scenario.runningVms()).toEqual([]);
  // That the app has gone too, and not its VMs alone, is told by the last commit: for a moment its name has no VM.
  const { status } = await getThroughProxy(scenario.proxy("proxy-1").http, "web.localhost");
  expect([404, 503]).toContain(status);
});
