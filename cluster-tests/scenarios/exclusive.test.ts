// Exclusive: of an app that never runs twice, one process lives at a time, as the machine's process table has it, while its host starts anew, or
// loses its agent. Of a host that was suspended with all that runs on it, the VM gets no request afterwards and is killed at once.

import { once } from "node:events";
import { connect } from "node:net";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { AppView } from "../../node/deploy/app-view.ts";
import { LEASE_KILL_MS, takeoverAfterMs } from "../../node/lease.ts";
import { readWatchdog } from "../../node/vms/lease-file.ts";
import { uptimeMs } from "../../node/vms/process-table.ts";
import type { AppFolder, AppSettings } from "../harness/app-folder.ts";
import { getJson, PATIENCE_MS, until, untilView } from "../harness/observe.ts";
import { Scenario } from "../harness/scenario.ts";
import { VmLifetimes } from "../harness/vm-lifetimes.ts";

const LEASE_MS = 3_000;
const EXCLUSIVE: AppSettings = { top: ["exclusive = true"] };
const LEASED: AppSettings = { top: ["exclusive = true", 'fence = "lease"', `lease = "${LEASE_MS / 1000}s"`] };

let scenario: Scenario;
let app: AppFolder;
let lives: VmLifetimes;
let release = 0;
beforeAll(async () => {
  scenario = await Scenario.start({ hosts: 4, proxies: 1, replaceAfter: "1s" });
  app = scenario.app();
  lives = new VmLifetimes(scenario.cluster.stateDir, uptimeMs);
  await scenario.run(["host", "cordon", SAFE], SAFE);
});
afterAll(async () => {
  await lives.stop();
  await scenario.stop();
});

interface Placed {
  readonly vm: string;
  readonly host: string;
  readonly epoch: number;
}

/** Where nobody is harmed, and the files of each release are: it runs nothing. A voter. */
const SAFE = "host-1";

const view = (host = SAFE) => getJson<AppView>(`${scenario.api(host)}/v1/apps/web`);

async function deploy(settings: AppSettings): Promise<Placed> {
  release += 1;
  app.change({ ...settings, greeting: `v${release}` });
  const { code, stdout, stderr } = await scenario.run(["deploy", app.file], SAFE);
  expect(code, stdout + stderr).toBe(0);
  return placed(await view());
}

function placed({ vms, epoch }: AppView): Placed {
  const [vm, ...others] = vms.filter(({ phase }) => phase !== null);
  if (vm === undefined || others.length > 0) throw new Error(`not one VM: ${JSON.stringify(vms)}`);
  return { vm: vm.vm, host: vm.host, epoch };
}

const isWell = ({ vms }: AppView) =>
  vms.length === 1 && vms[0]?.health === "healthy" && vms[0]?.phase === "serving";

function untilElsewhere(old: Placed): Promise<AppView> {
  const isElsewhere = (seen: AppView) =>
    seen.rollout?.state === "succeeded" &&
    seen.vms.some(({ vm, host, health }) => vm !== old.vm && host !== old.host && health === "healthy");
  return untilView(scenario.api(SAFE), "web", isElsewhere);
}

test(
  "a host that reaches no majority starts its VM again once it does, and says so; without a lease nothing is started elsewhere",
  async () => {
    const old = await deploy(EXCLUSIVE);
    // As after a reboot: its state is kept, its processes are gone.
    await scenario.cluster.lose(old.host);
    process.kill(lives.of(old.vm).pid, "SIGKILL");
    await until("its end", () => (lives.of(old.vm).goneMs === null ? null : true));
    const others = ["host-1", "host-2", "host-3"].filter((host) => host !== old.host).slice(0, 2);
    const pids = others.map((host) => scenario.pid(host));
    for (const pid of pids) process.kill(pid, "SIGSTOP");
    const starting = scenario.cluster.restart(old.host);
    try {
      await starting;
      await until("what it waits for", async () => {
        const [vm] = await getJson<{ reason: string | null }[]>(`${scenario.api(old.host)}/v1/vms`);
        return vm?.reason?.includes("a majority of the voters") === true ? true : null;
      });
      expect(lives.of(old.vm).goneMs).not.toBeNull();
    } finally {
      for (const pid of pids) process.kill(pid, "SIGCONT");
    }
    await until("another process of it", () => (lives.of(old.vm).goneMs === null ? true : null));
    await untilView(scenario.api(SAFE), "web", isWell);

    // Its agent alone: its process goes on, whatever is waited for.
    await scenario.cluster.lose(old.host);
    const status = await until("the host away", async () => {
      const { stdout } = await scenario.run(["status", "web"], SAFE);
      return stdout.includes("host fence") ? stdout : null;
    });
    expect(status).toMatch(new RegExp(`${old.vm}.*${old.host}.*grapevine host fence ${old.host}`));
    const { pid } = lives.of(old.vm);
    await scenario.cluster.restart(old.host);
    await untilView(scenario.api(SAFE), "web", isWell);
    expect(lives.of(old.vm)).toMatchObject({ pid, goneMs: null });
    expect(placed(await view(SAFE))).toMatchObject({ vm: old.vm, host: old.host });
    expect(lives.together).toEqual([]);
  },
  2 * PATIENCE_MS,
);

/** What the gate of that host answers a request that was sent while it stood still. */
async function askLater(host: string, { vm, epoch }: Placed): Promise<{ readonly answer: Promise<string> }> {
  const entries = await getJson<{ key: string; value: { gate: { host: string; port: number } } }[]>(
    `${scenario.api(SAFE)}/v1/entries?prefix=host/${host}`,
  );
  const { gate } = entries.find(({ key }) => key === `host/${host}`)!.value;
  const socket = connect(gate.port, gate.host);
  await once(socket, "connect");
  socket.write(
    `GET / HTTP/1.1\r\nhost: web.localhost\r\ngrapevine-gate: 1 pass web ${vm} ${epoch}\r\nconnection: close\r\n\r\n`,
  );
  return { answer: socket.toArray().then((chunks) => Buffer.concat(chunks).toString()) };
}

test(
  "a machine that was suspended for longer than the lease: its VM gets no request afterwards, and is killed at once",
  async () => {
    const old = await deploy(LEASED);
    const folder = `${scenario.cluster.stateDir}/${old.host}/state/vms/${old.vm}`;
    const gate = scenario.view.gates.find(({ host }) => host === old.host)!;
    const pids = [readWatchdog(folder)!.pid, lives.of(old.vm).pid, gate.pid, scenario.pid(old.host)];
    const suspendedMs = uptimeMs();
    for (const pid of pids) process.kill(pid, "SIGSTOP");
    let resumedMs = 0;
    let asked: Awaited<ReturnType<typeof askLater>>;
    try {
      const fresh = placed(await untilElsewhere(old));
      expect(lives.together).toEqual([[old.vm, fresh.vm].sort().join(" ")]);
      asked = await askLater(old.host, old);
    } finally {
      resumedMs = uptimeMs();
      for (const pid of pids.reverse()) process.kill(pid, "SIGCONT");
    }
    expect(await asked.answer).toMatch(/^HTTP\/1.1 421[\s\S]*grapevine-gate: 1 (shut|ahead|closed)/i);
    const goneMs = await until("the end of the old one", () => lives.of(old.vm).goneMs);
    const nextMs = lives.all.at(-1)?.beginMs ?? Number.NaN;
    const takeoverMs = takeoverAfterMs(LEASE_MS);
    process.stdout.write(
      `lease ${LEASE_MS} ms, drift bound ${takeoverMs - LEASE_MS} ms: suspended, ${Math.round(nextMs - suspendedMs)} ms later another process began; resumed ${Math.round(resumedMs - nextMs)} ms after that, ` +
        `and killed within ${Math.round(goneMs - resumedMs)} ms (${LEASE_KILL_MS} ms are reckoned with): an overlap that only a fence at the storage closes\n`,
    );
    await until("one process", () => (scenario.runningVms().length === 1 ? true : null));
  },
  2 * PATIENCE_MS,
);
