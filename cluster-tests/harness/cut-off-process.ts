// Cut-off process: a proxy of a dev cluster as a process of its own, that leaves the mesh for good when told "cut off", and goes on. Says in
// lines of JSON what it is once it serves, and when it has left; stops when its standard input ends.

import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { pino } from "pino";
import { memberName, Registers, startMesh, toMultiaddr } from "../../mesh/index.ts";
import { PROXY_TIMING, startProxy } from "../../proxy-agent/proxy.ts";
import { CUT_OFF, type CutOffLine } from "./cut-off-protocol.ts";

const [, , stateDir = ""] = process.argv;
const say = (line: CutOffLine) => process.stdout.write(`${JSON.stringify(line)}\n`);

const folder = mkdtempSync(join(tmpdir(), "grapevine-cut-off-"));
const logger = pino({ level: "silent" });
const name = memberName("proxy-cut-off");
const config = readFileSync(join(stateDir, "proxy-1", "config.toml"), "utf8");
const cluster = settingOf(config, "cluster");
const seeds = [toMultiaddr(settingOf(config, "seeds"))];
const who = { cluster, name, role: "proxy", stateDir: folder, advertise: [], seeds } as const;
const mesh = await startMesh({ ...who, listen: ["/ip4/127.0.0.1/tcp/0"] }, { logger });
const free = { host: "127.0.0.1", port: 0 };
const proxy = await startProxy(
  {
    http: free,
    admin: free,
    region: "default",
    labels: {},
    responseHeaders: true,
    gate: null,
    timing: PROXY_TIMING,
  },
  {
    mesh,
    registers: new Registers({ cluster }, { mesh, logger }),
    mark: { wasSet: false, set: async () => undefined, clear: async () => undefined },
    meshCounters: () => ({}),
    config: {},
    recentLog: () => "",
    logger,
  },
  new AbortController().signal,
);
say({ event: "serves", name, http: proxy.http, admin: proxy.admin });

for await (const line of createInterface({ input: process.stdin })) {
  if (line !== CUT_OFF) continue;
  await mesh.stop();
  say({ event: "cut-off" });
}
await proxy.stop();
await mesh.stop();
rmSync(folder, { recursive: true, force: true });

/** Of a text, or of the first of a list. */
function settingOf(toml: string, key: string): string {
  const value = new RegExp(`^${key} = \\[?"([^"]*)"`, "m").exec(toml)?.[1];
  if (value === undefined) throw new Error(`no ${key} in ${toml}`);
  return value;
}
