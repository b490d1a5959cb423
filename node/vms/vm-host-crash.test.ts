import { spawn } from "node:child_process";
import { once } from "node:events";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { ProcessDriver } from "./process-driver.ts";
import { HostHarness, vm, wanted } from "./vm-host-harness.ts";

/** An agent in a process of its own: restores, then wants one VM until it is killed. */
const AGENT = `
  import { cp } from "node:fs/promises";
  import { pino } from "pino";
  const { VmHost } = await import(process.env.SOURCE + "/vm-host.ts");
  const { ProcessDriver } = await import(process.env.SOURCE + "/process-driver.ts");
  const { runChecks } = await import(process.env.SOURCE + "/../health/prober.ts");
  const { root, folder, ports, wanted } = JSON.parse(process.env.HARNESS);
  const bundles = { unpack: (hash, to) => cp(root + "/app", to, { recursive: true }) };
  const host = new VmHost({ host: "host-1", folder, vmPorts: ports, bindHost: "127.0.0.1", hasGate: false },
    { driver: new ProcessDriver(), runChecks, bundles, publish: () => {}, logger: pino({ level: "silent" }), nowMs: Date.now });
  console.log("go");
  await host.restore();
  host.reconcile([wanted]);`;

describe("VmHost under kill -9 of its agent", () => {
  let harness: HostHarness;
  beforeEach(async () => {
    harness = await HostHarness.create(() => new ProcessDriver());
  });
  afterEach(() => harness.close());

  /** Kills the agent so long after it began. */
  async function killAgentAfter(ms: number): Promise<void> {
    const { root, folder, ports } = harness;
    const HARNESS = JSON.stringify({ root, folder, ports, wanted: wanted("serving") });
    const env = { ...process.env, HARNESS, SOURCE: import.meta.dirname };
    const agent = spawn(process.execPath, ["--input-type=module", "-e", AGENT], {
      env,
      cwd: import.meta.dirname,
      stdio: ["ignore", "pipe", "inherit"],
    });
    await once(agent.stdout, "data");
    await delay(ms);
    agent.kill("SIGKILL");
    await once(agent, "close");
  }

  /** Pids of what runs from the VM's folder. */
  function processes(): number[] {
    const marker = `GRAPEVINE_VM_FOLDER=${harness.folderOf(vm)}`;
    return readdirSync("/proc")
      .filter((name) => /^\d+$/.test(name))
      .filter((pid) => environment(pid).includes(marker))
      .map(Number);
  }

  it("starts a VM once, loses none, and knows it again, whenever it was killed", async () => {
    const delays = Array.from({ length: 8 }, () => Math.round(60 * Math.random() ** 2));
    for (const ms of delays) await killAgentAfter(ms);
    const context = `killed after ${delays.join(", ")} ms`;
    expect(processes().length, context).toBeLessThanOrEqual(1);
    const host = await harness.startAgent();
    const [pid] = processes();
    host.reconcile([wanted("serving")]);
    await harness.entry({ health: "healthy" });
    expect(processes(), context).toHaveLength(1);
    if (pid !== undefined) expect(processes(), context).toEqual([pid]);
    host.reconcile([]);
    await harness.gone();
    expect(processes(), context).toEqual([]);
    expect(readdirSync(join(harness.root, "state", "vms"))).toEqual([]);
  }, 30_000);
});

function environment(pid: string): string[] {
  try {
    return readFileSync(`/proc/${pid}/environ`, "utf8").split("\0");
  } catch {
    return [];
  }
}
