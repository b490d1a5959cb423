// Commands as people run them: processes of their own, against an agent's API in this one.

import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";
import type { Mesh } from "../../../mesh/index.ts";
import { MemoryHub } from "../../../mesh/sim/memory-mesh.ts";
import { createApi } from "../../api/api.ts";
import { type ApiListener, listenApi } from "../../api/listen.ts";
import { type FakeAgent, FakeDeploys, fakeAgent, fakeView } from "../../api/testing/fake-agent.ts";

export const COMMAND: string = fileURLToPath(new URL("../grapevine.mjs", import.meta.url));

export interface CommandRun {
  readonly child: ChildProcess;
  readonly ended: Promise<{ code: number | null; stdout: string; stderr: string }>;
}

export class Commands {
  readonly folder: string;
  readonly appFile: string;
  readonly mesh: Mesh;
  readonly deploys: FakeDeploys = new FakeDeploys();
  readonly agent: FakeAgent;
  #listener: ApiListener | null = null;

  private constructor() {
    this.folder = mkdtempSync(path.join(tmpdir(), "grapevine-main-"));
    // In a folder of its own: what runs with this TMPDIR writes beside it.
    mkdirSync(path.join(this.folder, "app"));
    this.appFile = path.join(this.folder, "app", "app.toml");
    writeFileSync(this.appFile, 'name = "hello"\ncommand = ["node", "server.js"]\n');
    this.mesh = new MemoryHub().join({ name: "host-1", role: "host" });
    this.agent = fakeAgent(this.mesh, this.deploys);
    this.acceptAll();
  }

  static async start(): Promise<Commands> {
    const commands = new Commands();
    const socketFile = path.join(tmpdir(), `${path.basename(commands.folder)}.sock`);
    const at = { api: { host: "127.0.0.1", port: 0 }, socketFile };
    commands.#listener = await listenApi(createApi(commands.agent.deps), at);
    return commands;
  }

  get url(): string {
    return this.#listener?.url ?? "";
  }

  get environment(): NodeJS.ProcessEnv {
    return { ...process.env, GRAPEVINE_API: this.url, TMPDIR: this.folder };
  }

  /** Every submission is release 2 of hello. */
  acceptAll(): void {
    const { app } = fakeView();
    this.deploys.answer = { code: "accepted", app, rollout: "hello-v2", release: 2, joined: false };
  }

  run(...args: readonly string[]): CommandRun {
    const child = spawn(process.execPath, [COMMAND, ...args], { env: this.environment, stdio: "pipe" });
    const texts = { stdout: "", stderr: "" };
    child.stdout.on("data", (chunk) => {
      texts.stdout += chunk;
    });
    child.stderr.on("data", (chunk) => {
      texts.stderr += chunk;
    });
    return { child, ended: once(child, "close").then(([code]) => ({ code, ...texts })) };
  }

  async close(): Promise<void> {
    await this.#listener?.close();
    await this.mesh.stop();
    rmSync(this.folder, { recursive: true });
  }
}
