// A host that is lost with its VM: requests go elsewhere, it is shown as away, and is back once it is back. A host that is lost
// for good: it is forgotten, nobody who was away meanwhile brings it back, and it is welcome when it starts anew all the same.

import { afterAll, beforeAll, expect, test } from "vitest";
import { get } from "../harness/get.ts";
import { getJson, until } from "../harness/observe.ts";
import { failures, NO_FAILURES, Scenario } from "../harness/scenario.ts";

const PROXIES = ["proxy-1", "proxy-2"] as const;

let scenario: Scenario;
/** The host of one of the two VMs, no voter any more, and that VM. */
let victim: { readonly host: string; readonly vm: string };

interface VmFacts {
  readonly vm: string;
  readonly host: string;
}

interface Table {
  readonly proxy: string;
  readonly routes: {
    readonly routes: readonly {
      readonly endpoints: readonly {
        readonly vm: string;
        readonly healthy: boolean;
        readonly hostAway: boolean;
      }[];
    }[];
  } | null;
}

beforeAll(async () => {
  // Its VMs shall not be replaced here, however long a loaded machine takes.
  scenario = await Scenario.start({ hosts: 3, proxies: PROXIES.length, replaceAfter: "24h" });
  const app = scenario.app({ count: 2 });
  const deployed = await scenario.run(["deploy", app.file]);
  expect(deployed, deployed.stdout + deployed.stderr).toMatchObject({ code: 0 });
  const vms = await getJson<VmFacts[]>(`${scenario.api()}/v1/vms`);
  victim = vms.find(({ host }) => host !== "host-1")!;
  expect(new Set(vms.map(({ host }) => host)).size).toBe(2);
  const removed = await scenario.run(["voters", "remove", victim.host]);
  expect(removed, removed.stderr).toMatchObject({ code: 0 });
});
afterAll(() => scenario.stop());

/** As each proxy itself says: "web-v1-1 here, web-v1-2 away". */
async function endpoints(): Promise<readonly string[]> {
  const tables = await getJson<Table[]>(`${scenario.api()}/v1/routes`);
  return tables.map(({ routes }) => {
    const all = routes?.routes.flatMap((route) => route.endpoints) ?? [];
    const shown = all.map(
      ({ vm, healthy, hostAway }) => `${vm} ${hostAway ? "away" : healthy ? "here" : "broken"}`,
    );
    return shown.sort().join(", ");
  });
}

function untilRouted(what: string, expected: string): Promise<true> {
  return until(what, async () => ((await endpoints()).every((shown) => shown === expected) ? true : null));
}

const BOTH_HERE = "web-v1-1 here, web-v1-2 here";

async function answeringVms(): Promise<ReadonlySet<string>> {
  const names = new Set<string>();
  for (const proxy of PROXIES)
    for (let count = 0; count < 20; count += 1)
      names.add(
        (JSON.parse((await get(scenario.proxy(proxy).http, "web.localhost")).text) as { vm: string }).vm,
      );
  return names;
}

function otherVm(): string {
  return victim.vm === "web-v1-1" ? "web-v1-2" : "web-v1-1";
}

async function pidOf(vm: string): Promise<number> {
  return until(`an answer of ${vm}`, async () => {
    const { text } = await get(scenario.proxy("proxy-1").http, "web.localhost");
    const answer = JSON.parse(text) as { readonly vm: string; readonly pid: number };
    return answer.vm === vm ? answer.pid : null;
  });
}

/** The agent and its VM, as when the machine's power goes. */
async function cutPower(): Promise<void> {
  const pid = await pidOf(victim.vm);
  await scenario.cluster.lose(victim.host);
  process.kill(pid, "SIGKILL");
}

async function stateOf(host: string): Promise<string | null> {
  const rows = await getJson<{ name: string; state: string }[]>(`${scenario.api()}/v1/members`);
  return rows.find(({ name }) => name === host)?.state ?? null;
}

test("a host that is lost with its VM gets no request while another has one, is shown as away, and is back with its VM", async () => {
  await untilRouted("both VMs", BOTH_HERE);
  const client = scenario.load();
  const other = otherVm();
  const marked = [`${other} here`, `${victim.vm} away`].sort().join(", ");
  await cutPower();
  await untilRouted("its host away", marked);
  expect(await answeringVms()).toEqual(new Set([other]));
  await scenario.cluster.restart(victim.host);
  await untilRouted("both VMs again", BOTH_HERE);
  // A proxy asks one last that it could not dial a moment ago.
  await until("answers of both", async () => ((await answeringVms()).size === 2 ? true : null));
  expect(failures(await client.stop())).toEqual(NO_FAILURES);
});

test("proxies that lose all hosts at once keep their tables, mark nobody as away, and serve on", async () => {
  await untilRouted("both VMs", BOTH_HERE);
  const client = scenario.load();
  const agents = ["host-1", "host-2", "host-3"].map((host) => scenario.pid(host));
  for (const pid of agents) process.kill(pid, "SIGSTOP");
  try {
    for (const proxy of PROXIES)
      await until(`${proxy} holds deaths back`, async () => {
        const text = await (await fetch(`${scenario.proxy(proxy).admin}/metrics`)).text();
        const braked = Number(/^grapevine_mesh_deaths_braked_total (\d+)$/m.exec(text)?.[1] ?? 0);
        return braked >= 10 ? true : null;
      });
    for (const proxy of PROXIES) {
      const table = await getJson<NonNullable<Table["routes"]>>(`${scenario.proxy(proxy).admin}/v1/routes`);
      expect(table.routes[0]?.endpoints.map(({ hostAway }) => hostAway)).toEqual([false, false]);
    }
    expect((await answeringVms()).size).toBe(2);
  } finally {
    for (const pid of agents) process.kill(pid, "SIGCONT");
  }
  await until("all alive again", async () => ((await stateOf("host-2")) === "alive" ? true : null));
  expect(failures(await client.stop())).toEqual(NO_FAILURES);
});

/** How many entries a member holds of that owner. */
async function entriesOf(base: string, owner: string): Promise<number> {
  const entries = await getJson<{ readonly owner: string }[]>(`${base}/v1/entries`);
  return entries.filter((entry) => entry.owner === owner).length;
}

async function ownerOf(host: string): Promise<string> {
  const entries = await getJson<{ owner: string; name: string }[]>(
    `${scenario.api()}/v1/entries?prefix=host/`,
  );
  return entries.find(({ name }) => name === host)!.owner;
}

test("a host that is forgotten is brought back by nobody who was away meanwhile, and is welcome when it starts anew", async () => {
  const owner = await ownerOf(victim.host);
  const early = await scenario.run(["host", "forget", victim.host]);
  expect(early).toMatchObject({ code: 2, stdout: "" });
  expect(early.stderr).toMatch(/is alive: .*host-1.* hear it/);

  const other = otherVm();
  const pid = await pidOf(victim.vm);
  // The agent alone: its VM goes on, and would answer whoever asked it.
  await scenario.cluster.lose(victim.host);
  await untilRouted("its host away", [`${other} here`, `${victim.vm} away`].sort().join(", "));
  expect(await answeringVms()).toEqual(new Set([other]));
  // With all of the lost host on its disk.
  await scenario.cluster.lose("proxy-2");
  const said = await scenario.run(["host", "forget", victim.host, "--timeout", "1s", "--json"]);
  expect(said, said.stdout + said.stderr).toMatchObject({ code: 6 });
  expect(JSON.parse(said.stdout)).toMatchObject({
    forgotten: "now",
    vms: [{ vm: victim.vm, app: "web" }],
    missing: [{ name: "proxy-2", why: "not connected" }],
  });
  const repeated = await scenario.run(["host", "forget", victim.host, "--timeout", "1s", "--json"]);
  expect(repeated).toMatchObject({ code: 6 });
  expect(JSON.parse(repeated.stdout)).toMatchObject({ forgotten: "before", missing: [{ name: "proxy-2" }] });

  await scenario.cluster.restart("proxy-2");
  const bases = [scenario.api(), ...PROXIES.map((proxy) => scenario.proxy(proxy).admin)];
  await until("nothing of it anywhere", async () => {
    const counts = await Promise.all(bases.map((base) => entriesOf(base, owner)));
    return counts.every((count) => count === 0) ? true : null;
  });
  expect(await stateOf(victim.host)).toBeNull();
  await untilRouted("its VM gone from the tables", `${other} here`);
  expect(await answeringVms()).toEqual(new Set([other]));
  const again = await scenario.run(["host", "forget", victim.host]);
  expect(again).toMatchObject({ code: 0, stdout: `${victim.host} was forgotten before\n` });

  await scenario.cluster.restart(victim.host);
  await untilRouted("both VMs again", BOTH_HERE);
  expect(await stateOf(victim.host)).toBe("alive");
  expect(await ownerOf(victim.host)).toBe(owner);
  expect(await pidOf(victim.vm)).toBe(pid);
});
