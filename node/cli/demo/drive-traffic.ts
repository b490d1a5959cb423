// Drive traffic: the demo's course on any cluster: the example app, steady traffic through all proxies, two deploys, a report.

import { cpSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { DeployFacts } from "./deploy-folder.ts";
import { hasFailed, LoadClient, type Sample } from "./load-client.ts";
import { type DemoReport, demoReport } from "./report.ts";

const EXAMPLE = fileURLToPath(new URL("../../../docs/examples/hello/", import.meta.url));

interface Drive {
  /** Base URLs of the proxies that clients use in turn. */
  readonly targets: readonly string[];
  /** The example app is copied there, and changed there. */
  readonly folder: string;
  /** Deploys what is in `folder` now. */
  readonly deploy: () => Promise<DeployFacts>;
  readonly ratePerSecond: number;
  /** Sent before, between and after the deploys. */
  readonly requestsBetween: number;
  readonly say: (line: string) => void;
  readonly signal: AbortSignal;
}

/** Rejects when a deploy does. What failed else is in the report. */
export async function driveTraffic(drive: Drive): Promise<DemoReport> {
  const { targets, folder, ratePerSecond, requestsBetween, say, signal } = drive;
  cpSync(EXAMPLE, folder, { recursive: true });

  say("first launch of docs/examples/hello, one VM …");
  const { launch, firstServedMs } = await firstLaunch(drive);

  say(`${ratePerSecond} requests a second from clients with and without keep-alive, through both proxies …`);
  const client = new LoadClient({ ...REQUESTS, targets, ratePerSecond });
  const deploys: DeployFacts[] = [];
  try {
    await countRequests(client, requestsBetween, signal);
    for (const greeting of ["hello", "good day"]) {
      writeGreeting(folder, greeting);
      say(`deploying a new release (${greeting}) …`);
      deploys.push(await drive.deploy());
      await countRequests(client, requestsBetween, signal);
    }
  } finally {
    await client.stop();
  }
  return demoReport({ firstServedMs, launch, deploys, samples: client.samples });
}

/** Asks for the app from before it is submitted until it answers. */
async function firstLaunch({
  targets,
  deploy,
  signal,
}: Drive): Promise<{ readonly launch: DeployFacts; readonly firstServedMs: number }> {
  const probe = new LoadClient({ ...REQUESTS, targets, ratePerSecond: 50 });
  try {
    const [launch, servedAtMs] = await Promise.all([
      deploy(),
      probe.until((sample) => !hasFailed(sample), signal).then(() => Date.now()),
    ]);
    return { launch, firstServedMs: servedAtMs - launch.submittedAtMs };
  } finally {
    await probe.stop();
  }
}

const REQUESTS = { host: "hello.localhost", path: "/", connections: "both" } as const;

async function countRequests(client: LoadClient, count: number, signal: AbortSignal): Promise<void> {
  let left = count;
  await client.until((_: Sample) => --left === 0, signal);
}

/** Makes the copy of the example app in `folder` another release. */
export function writeGreeting(folder: string, greeting: string): void {
  const file = join(folder, "app.toml");
  const text = readFileSync(file, "utf8");
  writeFileSync(file, text.replace(/^GREETING = .*$/m, `GREETING = "${greeting}"`));
}
