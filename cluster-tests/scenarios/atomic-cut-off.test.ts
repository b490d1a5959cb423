// An atomic cutover while the gate of one old VM cannot be reached: its host is cut off together with a proxy and clients. It is waited for
// by name while requests are kept, and at half of max_age the old release serves on: nobody gets the new one, on either side.

import { afterAll, beforeAll, expect, test } from "vitest";
import type { AppView } from "../../node/deploy/app-view.ts";
import { AppFolder, type AppSettings } from "../harness/app-folder.ts";
import type { LabCluster } from "../harness/lab-cluster.ts";
import { NetLab } from "../harness/net-lab.ts";
import { startPartedLab, untilConnected } from "../harness/parted-lab.ts";
import { failures, NO_FAILURES } from "../harness/scenario.ts";

const WEB = "web.localhost";
/** A new release is added without the proxy that is cut off. */
const DEPLOY = ['strategy = "immediate"', 'cutover = "atomic"', 'exclude_silent_after = "1s"'];
const SETTINGS: AppSettings = { count: 3, waitTimeout: "5s", deploy: DEPLOY, hold: ['max_age = "8s"'] };

const missing = process.env["CI"] === "true" ? undefined : NetLab.missing();

let cluster: LabCluster;
let app: AppFolder;
beforeAll(async () => {
  if (missing !== undefined) return;
  cluster = await startPartedLab();
  app = new AppFolder(SETTINGS);
});
afterAll(async () => {
  await cluster?.stop();
  app?.remove();
});

async function deployed(greeting: string, code: number): Promise<string> {
  app.change({ ...SETTINGS, greeting });
  const result = await cluster.run(["deploy", app.file], "host-1");
  expect(result, result.stdout + result.stderr).toMatchObject({ code });
  return result.stdout + result.stderr;
}

test.skipIf(missing !== undefined)(
  `an old gate that cannot be reached is waited for by name, and the cutover goes back at its deadline, without a request to the new release${missing === undefined ? "" : ` (${missing})`}`,
  async () => {
    await deployed("one", 0);
    cluster.lab.part(["host-3"], ["host-1", "host-2"]);
    await untilConnected(cluster, false);
    const sides = ["host-1", "host-3"].map((host) => cluster.load(host, { host: WEB, ratePerSecond: 50 }));

    const said = await deployed("two", 3);
    expect(said).toMatch(/waiting for host-3 to close web-v1-\d at its gate \(its host is not connected/);
    expect(said).toMatch(/reason: host-3 has not closed web-v1-\d at its gate/);
    const { vms } = await cluster.get<AppView>("/v1/apps/web", "host-1");
    expect(vms.flatMap(({ release, phase }) => (phase === "serving" ? [release] : []))).toEqual([1, 1, 1]);

    cluster.lab.heal();
    await untilConnected(cluster, true);
    const [own = [], other = []] = await Promise.all(sides.map((side) => side.stop()));
    expect(failures(own)).toEqual(NO_FAILURES);
    expect(new Set([...own, ...other].flatMap(({ release }) => release ?? []))).toEqual(new Set(["v1"]));
    const longest = Math.max(...own.map(({ dueMs, doneMs }) => doneMs - dueMs));
    process.stdout.write(`held for ${Math.round(longest)} ms at most, and sent on to the old release\n`);
    // It was really held.
    expect(longest).toBeGreaterThan(1_000);

    await deployed("three", 0);
  },
);
