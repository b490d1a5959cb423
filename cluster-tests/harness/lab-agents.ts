// Lab agents: real host agents, each in a network namespace of its own, with a state folder in a temporary one.

import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { createClusterRoot } from "../../mesh/index.ts";
import { getOverSocket } from "./get-over-socket.ts";
import { NetLab } from "./net-lab.ts";
import { until } from "./observe.ts";

const MAIN = fileURLToPath(new URL("../../node/cli/main.ts", import.meta.url));
const SOCKET = "agent.sock";
const PORT = 7946;
const SEEDS = 3;

interface Row {
  readonly state: string;
  readonly connected: boolean;
}

export class LabAgents {
  readonly #lab: NetLab;
  readonly #folder: string;
  readonly #children = new Map<string, ChildProcess>();
  /** When our process ends before `dispose`. */
  readonly #abandon = (): void => {
    this.#end();
    rmSync(this.#folder, { recursive: true, force: true });
  };

  /** Resolves when each is connected to all others. */
  static async start(names: readonly string[]): Promise<LabAgents> {
    const agents = new LabAgents(names);
    try {
      const root = await createClusterRoot(agents.#folder);
      if (!root.ok) throw new Error(root.error);
      for (const name of names) agents.#start(name, names, root.value.id);
      for (const name of names)
        await until(`${name} connected to all`, async () =>
          (await agents.#isFull(name, names.length)) ? true : null,
        );
      return agents;
    } catch (error) {
      await agents.dispose();
      throw error;
    }
  }

  private constructor(names: readonly string[]) {
    this.#lab = NetLab.create(names);
    this.#folder = mkdtempSync(join(tmpdir(), "grapevine-lab-"));
    process.once("exit", this.#abandon);
  }

  get pids(): readonly number[] {
    return [...this.#children.values()].map(({ pid }) => pid ?? 0);
  }

  async dispose(): Promise<void> {
    const closed = [...this.#children.values()].map((child) =>
      child.exitCode === null && child.signalCode === null ? once(child, "close") : undefined,
    );
    this.#end();
    await Promise.all(closed);
    this.#lab.dispose();
    rmSync(this.#folder, { recursive: true, force: true });
    process.off("exit", this.#abandon);
  }

  #end(): void {
    for (const child of this.#children.values()) child.kill("SIGKILL");
    this.#lab.dispose();
  }

  #start(name: string, names: readonly string[], cluster: string): void {
    const folder = join(this.#folder, name);
    mkdirSync(folder);
    const addressOf = (member: string) => `${this.#lab.address(member)}:${PORT}`;
    const config = {
      name,
      cluster,
      state_dir: ".",
      listen: addressOf(name),
      advertise: [addressOf(name)],
      seeds: names.slice(0, SEEDS).map(addressOf),
      api: "127.0.0.1:7900",
    };
    // JSON's notation of texts and lists of texts is TOML's too.
    const lines = Object.entries(config).map(([key, value]) => `${key} = ${JSON.stringify(value)}\n`);
    const file = join(folder, "agent.toml");
    writeFileSync(file, lines.join(""));
    const args = [process.execPath, MAIN, "agent", "--config", file, "--exit-with-parent"];
    const [command = "", ...rest] = [...this.#lab.prefix(name), ...args];
    this.#children.set(name, spawn(command, rest, { stdio: ["pipe", "ignore", "inherit"] }));
  }

  async #isFull(name: string, count: number): Promise<boolean> {
    const rows = await getOverSocket<readonly Row[]>(join(this.#folder, name, SOCKET), "/v1/members");
    return rows.length === count && rows.every(({ state, connected }) => state === "alive" && connected);
  }
}
