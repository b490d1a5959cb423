// Deploy a folder: by the real command line, as the newcomer would, and with the facts of it for the report.

import { spawn } from "node:child_process";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { RolloutStepReport } from "../../../mesh/index.ts";
import type { AppView } from "../../deploy/app-view.ts";
import { endOfEvents } from "../event-stream.ts";

const MAIN = fileURLToPath(new URL("../main.ts", import.meta.url));

export interface DeployFacts {
  /** "v2". */
  readonly release: string;
  readonly exitCode: number;
  /** From the start of the command to its end, its own start included, milliseconds. */
  readonly tookMs: number;
  readonly steps: readonly RolloutStepReport[];
  /** When the rollout was committed, milliseconds since 1970. */
  readonly submittedAtMs: number;
  /** From "the new VM is healthy" to the last request that any proxy sent to the old one, milliseconds; null: there was no old one. */
  readonly healthyToSilentMs: number | null;
}

/** By what the command line is run and answers. */
interface DeployPorts {
  /** `grapevine deploy … --json`, to its end. */
  readonly runDeploy: () => Promise<{ readonly exitCode: number; readonly output: string }>;
  /** What `grapevine status APP --json` prints. */
  readonly viewOf: (app: string) => Promise<AppView>;
}

export function deployFolder(options: {
  readonly api: string;
  readonly folder: string;
  readonly signal: AbortSignal;
}): Promise<DeployFacts> {
  return deployBy({
    runDeploy: () => runDeploy(options),
    viewOf: (app) => fetchView(options.api, app, options.signal),
  });
}

/** Rejects when the command ends otherwise than with a rollout that succeeded; its words are in the message. */
export async function deployBy({ runDeploy, viewOf }: DeployPorts): Promise<DeployFacts> {
  const startedMs = performance.now();
  const ended = await runDeploy();
  const tookMs = performance.now() - startedMs;
  if (ended.exitCode !== 0) throw new Error(`the deploy ended with ${ended.exitCode}: ${ended.output}`);
  const result = endOfEvents(ended.output) as {
    app: string;
    release: string;
    exitCode: number;
    steps: readonly RolloutStepReport[];
  };
  const view = await viewOf(result.app);
  const submittedAtMs = view.rollout?.startedAtMs ?? Number.NaN;
  return { ...result, tookMs, submittedAtMs, healthyToSilentMs: healthyToSilent(view) };
}

function runDeploy(options: {
  readonly api: string;
  readonly folder: string;
  readonly signal: AbortSignal;
}): Promise<{ readonly exitCode: number; readonly output: string }> {
  const { api, folder, signal } = options;
  const args = [MAIN, "deploy", join(folder, "app.toml"), "--json", "--api", api];
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, args, { stdio: ["ignore", "pipe", "pipe"], signal });
    let output = "";
    for (const stream of [child.stdout, child.stderr]) {
      stream.on("data", (chunk: Buffer) => {
        output += chunk.toString();
      });
    }
    child.once("error", reject);
    child.once("close", (code) => resolve({ exitCode: code ?? 1, output }));
  });
}

async function fetchView(api: string, app: string, signal: AbortSignal): Promise<AppView> {
  const response = await fetch(`${api}/v1/apps/${app}`, { signal });
  return (await response.json()) as AppView;
}

/** All clocks are this machine's. Below zero, when no request happened to come in between, counts as zero. */
function healthyToSilent(view: AppView): number | null {
  const cutover = view.rollout?.cutover;
  if (cutover?.newHealthyAtMs == null || cutover.oldLastRequestAtMs === null) return null;
  return Math.max(0, cutover.oldLastRequestAtMs - cutover.newHealthyAtMs);
}
