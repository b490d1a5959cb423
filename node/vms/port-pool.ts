// Port pool: which port each VM of this host listens on. Tested by binding: the system knows best.

import { once } from "node:events";
import { createServer } from "node:net";
import type { VmName } from "../../mesh/index.ts";

export interface PortPoolOptions {
  /** Both included. Outside the range that the kernel takes ports of outgoing connections from: the config sees to it. */
  readonly from: number;
  readonly to: number;
  /** Where to begin, 0 to 1: two agents with one range rarely meet. */
  readonly random: number;
}

export class PortPool {
  readonly #options: PortPoolOptions;
  readonly #taken = new Map<VmName, number>();
  /** Goes round, so that a port is given out again as late as possible: a stale route must not lead to another app. */
  #next: number;

  constructor(options: PortPoolOptions) {
    this.#options = options;
    const count = options.to - options.from + 1;
    this.#next = options.from + Math.min(count - 1, Math.floor(options.random * count));
  }

  /** A port at which nobody listens at `host`, kept for this VM until `release`. Rejects with what to do when there is none. */
  async take(vm: VmName, host: string, preferred: number | null): Promise<number> {
    if (preferred !== null && (await this.#tryTake(vm, { port: preferred, host }))) return preferred;
    const { from, to } = this.#options;
    for (let tried = from; tried <= to; tried += 1) {
      const port = this.#next;
      this.#next = port >= to ? from : port + 1;
      if (await this.#tryTake(vm, { port, host })) return port;
    }
    throw new Error(`no port from ${from} to ${to} is free at ${host}: widen vm_ports in the agent's config`);
  }

  /** The port of a VM that was found running. */
  keep(vm: VmName, port: number): void {
    this.#taken.set(vm, port);
  }

  release(vm: VmName): void {
    this.#taken.delete(vm);
  }

  async #tryTake(vm: VmName, { port, host }: { port: number; host: string }): Promise<boolean> {
    const { from, to } = this.#options;
    const isOthers = [...this.#taken].some(([other, taken]) => taken === port && other !== vm);
    if (isOthers || port < from || port > to) return false;
    // Before the test, so that another VM that is placed meanwhile passes it by.
    const before = this.#taken.get(vm);
    this.#taken.set(vm, port);
    if (await isFree(port, host)) return true;
    if (before === undefined) this.#taken.delete(vm);
    else this.#taken.set(vm, before);
    return false;
  }
}

async function isFree(port: number, host: string): Promise<boolean> {
  const server = createServer();
  try {
    server.listen({ port, host, exclusive: true });
    await once(server, "listening");
    server.close();
    await once(server, "close");
    return true;
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code ?? "";
    if (code === "EADDRINUSE" || code === "EACCES") return false;
    throw new Error(
      `cannot listen at ${host} (${code}): set vm_address in the agent's config to an address of this host`,
    );
  }
}
