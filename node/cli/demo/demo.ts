// demo: what a newcomer runs first. A cluster, one VM, steady traffic, two deploys, and a report of what the clients saw.

import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { messageOf } from "../../../mesh/index.ts";
import { DevCluster } from "../dev/dev-cluster.ts";
import { endOfSession } from "../dev/end-of-session.ts";
import { type DeployFacts, deployFolder } from "./deploy-folder.ts";
import { hasFailed, LoadClient, type Sample } from "./load-client.ts";
import { demoReport } from "./report.ts";

const EXAMPLE = fileURLToPath(new URL("../../../docs/examples/hello/", import.meta.url));
const RATE_PER_SECOND = 200;
/** Traffic before, between and after the deploys: with it and the deploys over 2,000 requests are sent. */
const REQUESTS_BETWEEN = 800;
const DEMO_TIMEOUT_MS = 120_000;

/** Resolves with the exit code: 0 only if no request failed and each deploy succeeded. */
export async function runDemo(options: { readonly json: boolean }): Promise<number> {
  const say = options.json ? () => {} : (line: string) => process.stdout.write(`${line}\n`);
  const signal = AbortSignal.any([endOfSession(), AbortSignal.timeout(DEMO_TIMEOUT_MS)]);
  const folder = mkdtempSync(join(tmpdir(), "grapevine-demo-"));
  let cluster: DevCluster | null = null;
  try {
    say("starting 3 host agents and 2 proxies …");
    cluster = await DevCluster.start({ hosts: 3, proxies: 2, stateDir: null, logLevel: "warn" }, signal);
    const report = await driveTraffic({ cluster, folder, say, signal });
    process.stdout.write(options.json ? `${JSON.stringify(report.json)}\n` : report.text);
    return report.exitCode;
  } catch (error) {
    process.stderr.write(`grapevine demo: ${messageOf(error)}\n`);
    return 1;
  } finally {
    await cluster?.stop();
    rmSync(folder, { recursive: true, force: true });
  }
}

interface Drive {
  readonly cluster: DevCluster;
  readonly folder: string;
  readonly say: (line: string) => void;
  readonly signal: AbortSignal;
}

async function driveTraffic(drive: Drive): Promise<ReturnType<typeof demoReport>> {
  const { cluster, folder, say, signal } = drive;
  const { agents, proxies } = cluster.view();
  const api = agents[0]?.api ?? "";
  const targets = proxies.map((proxy) => proxy.http);
  cpSync(EXAMPLE, folder, { recursive: true });

  say("first launch of docs/examples/hello, one VM …");
  const { launch, firstServedMs } = await firstLaunch({ api, folder, signal, targets });

  say(
    `${RATE_PER_SECOND} requests a second from clients with and without keep-alive, through both proxies …`,
  );
  const client = new LoadClient({ ...TRAFFIC, targets, ratePerSecond: RATE_PER_SECOND });
  const deploys: DeployFacts[] = [];
  try {
    await countRequests(client, REQUESTS_BETWEEN, signal);
    for (const greeting of ["hello", "good day"]) {
      writeGreeting(folder, greeting);
      say(`deploying a new release (${greeting}) …`);
      deploys.push(await deployFolder({ api, folder, signal }));
      await countRequests(client, REQUESTS_BETWEEN, signal);
    }
  } finally {
    await client.stop();
  }
  return demoReport({ firstServedMs, launch, deploys, samples: client.samples });
}

/** Asks for the app from before it is submitted until it answers. */
async function firstLaunch(options: {
  readonly api: string;
  readonly folder: string;
  readonly signal: AbortSignal;
  readonly targets: readonly string[];
}): Promise<{ readonly launch: DeployFacts; readonly firstServedMs: number }> {
  const probe = new LoadClient({ ...TRAFFIC, targets: options.targets, ratePerSecond: 50 });
  try {
    const [launch, servedAtMs] = await Promise.all([
      deployFolder(options),
      probe.until((sample) => !hasFailed(sample), options.signal).then(() => Date.now()),
    ]);
    return { launch, firstServedMs: servedAtMs - launch.submittedAtMs };
  } finally {
    await probe.stop();
  }
}

const TRAFFIC = { host: "hello.localhost", path: "/", connections: "both" } as const;

async function countRequests(client: LoadClient, count: number, signal: AbortSignal): Promise<void> {
  let left = count;
  await client.until((_: Sample) => --left === 0, signal);
}

function writeGreeting(folder: string, greeting: string): void {
  const file = join(folder, "app.toml");
  const text = readFileSync(file, "utf8");
  writeFileSync(file, text.replace(/^GREETING = .*$/m, `GREETING = "${greeting}"`));
}
