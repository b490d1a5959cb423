// Find agent: which agent a command asks: --api, then GRAPEVINE_API, then the newest dev cluster that runs.

import { readdirSync, readFileSync, statSync } from "node:fs";
import path from "node:path";
import { z } from "zod";
import { fail, ok, type Result } from "../../mesh/words.ts";

export interface AgentAddress {
  /** "http://127.0.0.1:7900", or the path of a unix socket. */
  readonly address: string;
  /** The agent that should answer there; null: whoever does. */
  readonly name: string | null;
  /** A person or the dev cluster's own file said so; else another agent did. */
  readonly isVerified: boolean;
}

export interface FindOptions {
  /** Of --api. */
  readonly api: string | undefined;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Where running dev clusters write their files. */
  readonly devFolder: string;
  readonly uid: number;
}

const DEV_FILE = /^(\d{1,10})\.json$/;
const HOST_PORT = /^(?:[\w.-]+|\[[0-9a-fA-F:]+\]):\d{1,5}$/;
const DEV_FILE_BYTES_MAX = 64 * 1024;
const devClusterShape = z.object({
  agents: z.array(z.object({ name: z.string(), api: z.string() })).max(64),
});

/** At least one address, or why there is none and what to do. */
export function findAgents(options: FindOptions): Result<readonly AgentAddress[]> {
  if (options.api !== undefined) return givenAddress("--api", options.api);
  const fromEnv = options.env["GRAPEVINE_API"];
  if (fromEnv !== undefined && fromEnv !== "") return givenAddress("GRAPEVINE_API", fromEnv);
  const dev = newestDevCluster(options.devFolder, options.uid);
  if (dev.length > 0) return ok(dev);
  return fail(
    "no agent to ask: --api and GRAPEVINE_API are not given, and no dev cluster runs. " +
      "Start one with `grapevine dev`, or say where an agent is: --api http://127.0.0.1:7900 or --api STATE_DIR/agent.sock",
  );
}

/** True while a process of this pid exists. */
function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return error instanceof Error && "code" in error && error.code === "EPERM";
  }
}

function givenAddress(source: string, given: string): Result<readonly AgentAddress[]> {
  const text = HOST_PORT.test(given) ? `http://${given}` : given;
  if (text.startsWith("http://") && URL.canParse(text)) {
    return ok([{ address: new URL(text).origin, name: null, isVerified: true }]);
  }
  if (/^[a-z]+:\/\//i.test(text) || !/[/\\.]/.test(text)) {
    return fail(
      `${source} must be http://HOST:PORT or the path of a unix socket, for example http://127.0.0.1:7900; found ${text}`,
    );
  }
  return ok([{ address: path.resolve(text), name: null, isVerified: true }]);
}

function newestDevCluster(folder: string, uid: number): readonly AgentAddress[] {
  // In a folder for everybody's temporary files: one that another user made is none of ours.
  if (!isOurs(folder, uid)) return [];
  const files = readdirSync(folder)
    .map((name) => ({ file: path.join(folder, name), pid: Number(DEV_FILE.exec(name)?.[1]) }))
    .filter(({ file, pid }) => Number.isInteger(pid) && isRunning(pid) && isOurs(file, uid))
    .sort((left, right) => modifiedMs(right.file) - modifiedMs(left.file));
  for (const { file } of files) {
    const agents = readDevFile(file);
    if (agents.length > 0) return agents;
  }
  return [];
}

function readDevFile(file: string): readonly AgentAddress[] {
  try {
    if (statSync(file).size > DEV_FILE_BYTES_MAX) return [];
    const cluster = devClusterShape.safeParse(JSON.parse(readFileSync(file, "utf8")));
    if (!cluster.success) return [];
    return cluster.data.agents.map(({ name, api }) => ({ address: api, name, isVerified: true }));
  } catch {
    return [];
  }
}

function isOurs(file: string, uid: number): boolean {
  return statSync(file, { throwIfNoEntry: false })?.uid === uid;
}

function modifiedMs(file: string): number {
  return statSync(file, { throwIfNoEntry: false })?.mtimeMs ?? 0;
}
