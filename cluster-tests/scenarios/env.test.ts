// An env goes to the host that runs the release and stays at the one where it was submitted; nobody else has it, and nothing says it.

import { readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join, sep } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { get } from "../harness/get.ts";
import { getJson } from "../harness/observe.ts";
import { Scenario } from "../harness/scenario.ts";

const MARKER = `marker-${Math.random().toString(36).slice(2)}`;

interface View {
  readonly vms: readonly { readonly host: string }[];
  readonly rollout: { readonly id: string } | null;
}

let scenario: Scenario;
beforeAll(async () => {
  scenario = await Scenario.start({ hosts: 4, proxies: 2 });
});
afterAll(() => scenario.stop());

/** Files of all members, logs and databases among them, that hold the marker, by path. */
function filesWithMarker(): readonly string[] {
  const folder = scenario.cluster.stateDir;
  const files = readdirSync(folder, { recursive: true, withFileTypes: true }).filter((one) => one.isFile());
  const paths = files.map(({ parentPath, name }) => join(parentPath, name));
  return paths
    .filter((path) => readFileSync(path).includes(MARKER))
    .map((path) => path.slice(folder.length + 1));
}

async function view(): Promise<View> {
  return getJson<View>(`${scenario.api()}/v1/apps/web`);
}

async function answers(): Promise<string> {
  const agents = scenario.view.agents.map(({ api }) => api);
  const paths = ["apps", "apps/web", "members", "vms", "routes", "sync", "why/web-v1-1", "debug/entries"];
  const urls = agents.flatMap((api) => [`${api}/metrics`, ...paths.map((path) => `${api}/v1/${path}`)]);
  const texts = await Promise.all(urls.map(async (url) => (await fetch(url)).text()));
  const commands = [
    ["status", "web"],
    ["status", "web", "--json"],
    ["status", "--hosts", "--json"],
    ["entries", "--json"],
    ["query", "select * from entries", "--json"],
    ["query", "select * from apps", "--json"],
    ["query", "select * from releases", "--json"],
    ["diff", "host-1", "host-2"],
  ];
  const ran = [];
  for (const command of commands) ran.push(await scenario.run(command, "host-2"));
  return [...texts, ...ran.map(({ stdout, stderr }) => stdout + stderr)].join("\n");
}

test("a value of env is on the disk of the VM's host and of the one where it was submitted, and in no answer", async () => {
  const app = scenario.app({ greeting: MARKER });
  const deploy = await scenario.run(["deploy", app.file, "--json"], "host-4");
  expect(deploy, deploy.stdout + deploy.stderr).toMatchObject({ code: 0 });
  expect(deploy.stdout + deploy.stderr).not.toContain(MARKER);

  // The VM has it.
  expect((await get(scenario.proxy("proxy-1").http, "web.localhost")).text).toContain(MARKER);

  const host = (await view()).vms[0]?.host ?? "";
  const holders = [...new Set([host, "host-4"])].sort();
  const files = filesWithMarker();
  const owners = files.map((file) => file.split(sep).find((part) => /^host-\d$/.test(part)) ?? file);
  expect([...new Set(owners)].sort()).toEqual(holders);
  for (const file of files) {
    expect(file).toMatch(/\/envs\/[0-9a-f]{64}\.env$/);
    expect(statSync(join(scenario.cluster.stateDir, file)).mode & 0o777).toBe(0o600);
  }
  const said = await answers();
  expect(said).toContain("web-v1-1");
  expect(said).not.toContain(MARKER);
});

test("the same file, submitted at another agent while it is on its way, is the same deploy; another env is not", async () => {
  // Not healthy before all have been asked.
  const readyFile = join(scenario.cluster.stateDir, "ready");
  const app = scenario.app({ greeting: `${MARKER}-2`, readyFile });
  const first = scenario.start(["deploy", app.file], "host-4");
  await first.waitFor(/web-v2: submitted/);
  const again = await scenario.run(["deploy", app.file, "--detach"], "host-1");
  expect(again.stdout).toContain("web-v2: on its way already; joined it");
  app.change({ greeting: `${MARKER}-3`, readyFile });
  expect(await scenario.run(["deploy", app.file, "--detach"], "host-1")).toMatchObject({ code: 4 });
  writeFileSync(readyFile, "");
  const { code } = await first.result;
  expect(code).toBe(0);
  expect((await view()).rollout?.id).toBe("web-v2");
});
