// Told VMs: VMs of a measured host that are listeners in its own process and change their health when they are told. So nothing
// forks, and each write comes when the benchmark wants it. All else of the agent is real: records, lives, files, entries.

import { once } from "node:events";
import { createServer, type Server } from "node:net";
import type { VmName } from "../../../../mesh/index.ts";
import type { AgentGround } from "../../../../node/agent.ts";
import type { VmDriver, VmExit, VmHandle, VmSpec } from "../../../../node/vms/vm-driver.ts";
import { Condition } from "./member-shell.ts";

const FAILS = "GET /healthz: status 503";

type Checks = AgentGround["runChecks"];
type OnChange = Parameters<Checks>[1]["onChange"];

interface ToldVm {
  readonly vm: VmName;
  readonly server: Server;
  readonly ended: PromiseWithResolvers<VmExit>;
}

interface Checked {
  readonly port: number;
  readonly tell: OnChange;
  isHealthy: boolean;
}

export class ToldVms implements VmDriver {
  readonly kind = "told";
  readonly #vms = new Map<VmName, ToldVm>();
  readonly #checked: Checked[] = [];
  readonly #condition = new Condition();
  #next = 0;

  /** Of all VMs that are checked, in turn: its health turns over. */
  turnOver(): void {
    const checked = this.#checked[this.#next % this.#checked.length];
    if (checked === undefined) throw new Error("bench: no VM runs here");
    this.#next += 1;
    const from = checked.isHealthy ? "healthy" : "unhealthy";
    const health = checked.isHealthy ? "unhealthy" : "healthy";
    checked.isHealthy = !checked.isHealthy;
    checked.tell({ type: "health-changed", from, health, reason: checked.isHealthy ? null : FAILS });
  }

  /** Resolves when so many are checked. */
  async untilChecked(count: number, timeoutMs: number): Promise<void> {
    if (await this.#condition.until(() => this.#checked.length >= count, timeoutMs)) return;
    throw new Error(`${this.#checked.length} of ${count} VMs run here`);
  }

  /** In the place of probes: healthy at once, then what it is told. */
  readonly runChecks: Checks = async ({ address }, { onChange }, signal) => {
    const checked = { port: address.port, tell: onChange, isHealthy: true };
    this.#checked.push(checked);
    onChange({ type: "health-changed", from: "unknown", health: "healthy", reason: null });
    this.#condition.look();
    if (!signal.aborted) await once(signal, "abort");
    this.#checked.splice(this.#checked.indexOf(checked), 1);
  };

  /** Whatever it is, it can be run. */
  check(): void {}

  /** Listens as the release is told to: proxies dial what they route to. */
  async start({ vm, env }: VmSpec): Promise<VmHandle> {
    const server = createServer((socket) => socket.on("error", () => undefined).end());
    server.listen({ host: env["HOST"], port: Number(env["PORT"]) });
    await once(server, "listening");
    this.#vms.set(vm, { vm, server, ended: Promise.withResolvers() });
    return { driver: this.kind, vm, identity: {} };
  }

  async inspect({ vm }: VmHandle): ReturnType<VmDriver["inspect"]> {
    return this.#vms.has(vm) ? { running: true } : { running: false, exit: { code: null, signal: null } };
  }

  async find(vm: VmName): Promise<VmHandle | null> {
    return this.#vms.has(vm) ? { driver: this.kind, vm, identity: {} } : null;
  }

  async waitForExit({ vm }: VmHandle, signal: AbortSignal): Promise<VmExit> {
    const aborted = Promise.withResolvers<never>();
    signal.addEventListener("abort", () => aborted.reject(signal.reason), { once: true });
    signal.throwIfAborted();
    return await Promise.race([
      this.#vms.get(vm)?.ended.promise ?? { code: null, signal: null },
      aborted.promise,
    ]);
  }

  async stop({ vm }: VmHandle): Promise<VmExit> {
    const exit = { code: null, signal: "SIGTERM" };
    const told = this.#vms.get(vm);
    if (told === undefined) return exit;
    this.#vms.delete(vm);
    told.server.close();
    told.ended.resolve(exit);
    return exit;
  }
}
