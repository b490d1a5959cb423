// A measured host: a real agent, in which a mesh that is watched and VMs that change when told are the only strangers.

import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { enableCompileCache } from "node:module";
import { join } from "node:path";
import { pino } from "pino";
import { type RunningMesh, startMesh } from "../../../../mesh/index.ts";
import { Agent } from "../../../../node/agent.ts";
import { deployFolder } from "../../../../node/cli/demo/deploy-folder.ts";
import type { AgentConfig } from "../../../../node/config/agent-config.ts";
import type { MemberSetting } from "../protocol.ts";
import { Arrivals } from "./arrivals.ts";
import { Commits } from "./commits.ts";
import { contactOf, memberConfigOf, untilConnected } from "./grapevine-member.ts";
import { type MemberClock, type MemberProgram, runMember, runSchedule } from "./member-shell.ts";
import { ToldVms } from "./told-vms.ts";

const START_TIMEOUT_MS = 60_000;
/** Of one host; below the ports of outgoing connections, and none of a dev cluster's. */
const [VM_PORTS_FIRST, VM_PORTS_PER_HOST] = [12_000, 200];
const APP = `name = "bench"
command = ["told"]
hostnames = ["bench.localhost"]
`;

enableCompileCache();
await runMember(startHost);

async function startHost(setting: MemberSetting, clock: MemberClock): Promise<MemberProgram> {
  const vms = new ToldVms();
  const arrivals = new Arrivals(clock, { routes: false });
  const commits = new Commits(clock);
  let mesh: RunningMesh | undefined;
  const watched: typeof startMesh = async (options, deps) => {
    mesh = commits.watch(await startMesh(options, deps));
    mesh.onChange((change) => arrivals.stored(change));
    return mesh;
  };
  const logger = pino({ level: "warn" }, pino.destination(2));
  const config = configOf(setting);
  mkdirSync(config.stateDir);
  const ground = { startMesh: watched, driver: vms, runChecks: vms.runChecks };
  const agent = await Agent.start(config, { ...ground, logger, recentLog: () => "" });
  const api = readApi(config);
  return {
    contact: contactOf(mesh),
    handlers: {
      meet: async ({ peers }) => {
        await untilConnected(mesh, peers.length);
        return {};
      },
      plan: async ({ hosts }) =>
        (await post(`${api}/v1/voters/plan`, { hosts, restore: false })) as { readonly list: string },
      install: async ({ link }) => {
        await post(`${api}/v1/voters/install`, { link });
        return {};
      },
      deploy: async ({ vms: count }) => {
        const folder = join(setting.folder, "app");
        mkdirSync(folder);
        writeFileSync(join(folder, "app.toml"), `${APP}count = ${count}\n`);
        await deployFolder({ api, folder, signal: AbortSignal.timeout(START_TIMEOUT_MS) });
        return {};
      },
      vms: async ({ count }) => {
        await vms.untilChecked(count, START_TIMEOUT_MS);
        return {};
      },
      run: async ({ atMs }) => {
        const dueMs: number[] = [];
        commits.begin();
        await runSchedule(atMs, clock, (due) => {
          dueMs.push(due);
          vms.turnOver();
        });
        return { writes: await commits.take(dueMs) };
      },
      gather: (command) => arrivals.gather(command),
      metrics: async () => ({ text: await (await fetch(`${api}/metrics`)).text() }),
    },
    stop: () => agent.stop({ withVms: true }),
  };
}

async function post(url: string, json: object): Promise<unknown> {
  const answer = await fetch(url, { method: "POST", body: JSON.stringify(json) });
  if (answer.ok) return answer.json();
  throw new Error(`${url}: ${await answer.text()}`);
}

function configOf({ name, address, folder, config }: MemberSetting): AgentConfig {
  const first = VM_PORTS_FIRST + (config.index ?? 0) * VM_PORTS_PER_HOST;
  return {
    ...memberConfigOf({ name, address, folder, config }),
    // It answers on loopback alone, and so it is asked from here alone.
    api: { host: "127.0.0.1", port: 0 },
    vmPorts: { first, last: first + VM_PORTS_PER_HOST - 1 },
    vmAddress: address,
    gate: null,
    replaceAfterMs: 60_000,
  };
}

/** The system chose its port. */
function readApi({ stateDir }: AgentConfig): string {
  const ready = JSON.parse(readFileSync(join(stateDir, "agent.json"), "utf8")) as { api: string };
  return ready.api;
}
