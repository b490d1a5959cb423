// What `grapevine doctor` says of a real cluster: all well; a voter is killed; a majority is gone; and of a host before its agent starts.

import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { DoctorReport } from "../../node/cli/doctor/doctor-text.ts";
import type { Finding, Level } from "../../node/cli/doctor/finding.ts";
import { until } from "../harness/observe.ts";
import { Scenario } from "../harness/scenario.ts";

let scenario: Scenario;
beforeAll(async () => {
  scenario = await Scenario.start({ hosts: 3, proxies: 1 });
});
afterAll(() => scenario.stop());

interface Told {
  readonly code: number | null;
  readonly report: DoctorReport;
}

async function doctor(...args: readonly string[]): Promise<Told> {
  const { code, stdout, stderr } = await scenario.run(["doctor", "--json", ...args], "host-3");
  if (stdout === "") throw new Error(stderr);
  return { code, report: JSON.parse(stdout) as DoctorReport };
}

function findingOf({ report }: Told, check: string, level: Level): Finding | undefined {
  return report.findings.find((finding) => finding.check === check && finding.level === level);
}

/** Once the mesh holds it dead: one that is only suspect may come back. */
function untilDead(host: string): Promise<Told> {
  return until(`doctor to say that ${host} is dead`, async () => {
    const told = await doctor();
    const isSaid = told.report.findings.some(
      ({ check, level, found }) => check === "reach" && level === "fail" && found.startsWith(host),
    );
    return isSaid ? told : null;
  });
}

test("of a cluster that works nothing fails: this machine, members, voters, gates, proxies, clocks and versions", async () => {
  const told = await until("nothing to fail", async () => {
    const now = await doctor();
    return now.code === 0 ? now : null;
  });
  expect(told.report).toMatchObject({
    ok: true,
    member: { name: "host-3", program: "agent", running: true },
    askedBy: "host-3",
    skipped: [],
  });
  expect(findingOf(told, "reach", "ok")?.found).toMatch(/^4 of 4 members answer/);
  expect(findingOf(told, "voters", "ok")?.found).toMatch(
    /^3 of 3 voters live, 2 decide; a read at a majority/,
  );
  expect(findingOf(told, "gates", "ok")?.found).toMatch(/^3 of 3 hosts/);
  expect(findingOf(told, "proxies", "ok")?.found).toMatch(/^1 of 1 serve/);
  expect(findingOf(told, "versions", "ok")?.found).toMatch(/wire 1 \(4 members\)/);
  // One machine has one clock.
  expect(findingOf(told, "clocks", "warn")).toBeUndefined();
});

test("a voter that is killed is named, with what its port says and what to type; what decides still does", async () => {
  await scenario.cluster.lose("host-2");
  const told = await untilDead("host-2");
  expect(told.code).toBe(1);
  expect(findingOf(told, "reach", "fail")).toMatchObject({
    found: expect.stringContaining("from here its port is closed"),
    means: expect.stringContaining("the machine is on, and no process listens"),
    next: expect.stringContaining("grapevine voters remove host-2, then grapevine host forget host-2"),
  });
  expect(findingOf(told, "voters", "warn")).toMatchObject({
    found: expect.stringMatching(/^2 of 3 voters live, 2 decide; missing: host-2; a read at a majority took/),
    means: expect.stringContaining("the next voter that goes stops all deploys"),
  });

  const file = join(scenario.cluster.folder("host-2"), "config.toml");
  const before = await doctor("--config", file);
  expect(before.report).toMatchObject({
    member: { name: "host-2", running: false },
    skipped: [{ check: "cluster" }],
  });
  const own = before.report.findings.filter(({ level }) => level === "fail");
  expect({ code: before.code, own }).toEqual({ code: 0, own: [] });
  expect(findingOf(before, "seeds", "ok")?.found).toContain("is host-1");
  expect(findingOf(before, "key", "ok")?.found).toContain("for its owner alone");
});

test("without a majority the quorum fails, and who is missing is named", async () => {
  await scenario.cluster.lose("host-1");
  const told = await until("no quorum", async () => {
    const now = await doctor();
    return findingOf(now, "voters", "fail") === undefined ? null : now;
  });
  expect(told.code).toBe(1);
  expect(findingOf(told, "voters", "fail")).toMatchObject({
    found: expect.stringMatching(/^no quorum: 1 of 3 voters live, 2 decide; missing: host-1, host-2/),
    means: expect.stringContaining("traffic goes on"),
    next: expect.stringContaining("start the agents of host-1, host-2"),
  });
});
