// demo: what a newcomer runs first. A cluster, one VM, steady traffic, two deploys, and a report of what the clients saw.

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { messageOf } from "../../../mesh/words.ts";
import { DevCluster } from "../dev/dev-cluster.ts";
import { endOfSession } from "../dev/end-of-session.ts";
import { deployFolder } from "./deploy-folder.ts";
import { driveTraffic } from "./drive-traffic.ts";

/** With the deploys over 2,000 requests are sent. */
const TRAFFIC = { ratePerSecond: 200, requestsBetween: 800 };
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
    const { agents, proxies } = cluster.view();
    const api = agents[0]?.api ?? "";
    const report = await driveTraffic({
      targets: proxies.map((proxy) => proxy.http),
      folder,
      deploy: () => deployFolder({ api, folder, signal }),
      ...TRAFFIC,
      say,
      signal,
    });
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
