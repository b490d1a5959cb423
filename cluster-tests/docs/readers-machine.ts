// Reader's machine: `grapevine dev` as a reader of the pages has it, a shell beside it, and a folder in which they type.

import { chmodSync, copyFileSync, cpSync, mkdirSync, mkdtempSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { DevClusterView } from "../../node/cli/dev/dev-cluster.ts";
import type { AppView } from "../../node/deploy/app-view.ts";
import { type CommandResult, type RunningCommand, startCommand } from "../harness/command.ts";
import { DevMachine } from "../harness/dev-process.ts";
import { getJson, until } from "../harness/observe.ts";
import { ROOT } from "./blocks.ts";

const HELLO = join(ROOT, "docs/examples/hello");

export class ReadersMachine {
  readonly view: DevClusterView;
  readonly #machine: DevMachine;
  readonly #dev: RunningCommand;
  readonly #programs: string;

  static async start(): Promise<ReadersMachine> {
    const machine = new DevMachine();
    return new ReadersMachine(machine, await machine.dev([]));
  }

  private constructor(machine: DevMachine, { dev, view }: { dev: RunningCommand; view: DevClusterView }) {
    this.#machine = machine;
    this.#dev = dev;
    this.view = view;
    this.#programs = join(machine.folder, "bin");
    mkdirSync(this.#programs);
    this.#addProgram("grapevine", `exec "${process.execPath}" "${join(ROOT, "node/cli/main.ts")}" "$@"`);
    this.#addProgram("npx", 'exec "$@"');
  }

  #addProgram(name: string, line: string): void {
    const file = join(this.#programs, name);
    writeFileSync(file, `#!/bin/sh\n${line}\n`);
    chmodSync(file, 0o755);
  }

  /** A folder with the repository's examples where it has them, and one of them as a reader's own app. */
  newFolder(): string {
    const folder = mkdtempSync(join(this.#machine.folder, "reader-"));
    cpSync(join(ROOT, "docs/examples"), join(folder, "docs/examples"), { recursive: true });
    for (const file of ["app.toml", "server.js"]) copyFileSync(join(HELLO, file), join(folder, file));
    return folder;
  }

  /** Starts a line of a page in its folder, with this cluster's addresses and pids in place of the page's. */
  start(line: string, folder: string): RunningCommand {
    const here = this.#withOurs(line);
    // A supervisor that is stopped starts nobody again.
    if (/^kill -(?:KILL|TERM) /.test(here)) this.#dev.process.kill("SIGSTOP");
    const env = { ...this.#machine.env, PATH: `${this.#programs}:${process.env["PATH"]}` };
    return startCommand("bash", ["-c", `cd "${folder}"\n${here}`], { env, ownGroup: true });
  }

  async run(line: string, folder: string): Promise<CommandResult> {
    if (/^kill -STOP /.test(line)) await this.#untilAllAreUpToDate();
    const { process: child, result } = this.start(line, folder);
    child.stdin?.end();
    return result;
  }

  /** A reader types more slowly than a deploy's last commit, for which no command waits, reaches the proxy that is struck then. */
  async #untilAllAreUpToDate(): Promise<void> {
    const apps = `${this.view.agents[0]?.api}/v1/apps`;
    await until("proxies that are up to date", async () => {
      const views = await getJson<readonly AppView[]>(apps);
      const isBehind = ({ proxies }: AppView) => proxies.some(({ current }) => !current);
      return views.some(isBehind) ? null : true;
    });
  }

  /** Rejects with what is wrong with it. */
  async query(sql: string): Promise<void> {
    const body = JSON.stringify({ sql });
    const response = await fetch(`${this.view.agents[0]?.api}/v1/query`, { method: "POST", body });
    if (!response.ok) throw new Error(`${sql}: ${await response.text()}`);
  }

  #withOurs(line: string): string {
    const [api] = this.view.agents;
    const [proxy] = this.view.proxies;
    const addressed = line
      .replaceAll(/http:\/\/127\.0\.0\.1:7900\b/g, api?.api ?? "")
      .replaceAll(/http:\/\/127\.0\.0\.1:(?:8080|PORT)\b/g, proxy?.http ?? "");
    return addressed.replace(/^(kill -\w+) \d+(\s+# ([\w-]+))/, (_, kill, comment, name) => {
      return `${kill} ${this.#pid(name)}${comment}`;
    });
  }

  /** Of a member that a page names in a comment: `kill -STOP 4698   # proxy-2`. */
  #pid(name: string): number {
    const members = [...this.view.agents, ...this.view.gates, ...this.view.proxies];
    const member = members.find((one) => one.name === name);
    if (member === undefined) throw new Error(`the cluster has no ${name}`);
    return member.pid;
  }

  async stop(): Promise<void> {
    this.#dev.process.kill("SIGCONT");
    await this.#machine.remove();
  }
}
