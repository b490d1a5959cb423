// Cut-off proxy: one more proxy of a dev cluster, in this process, that can be cut off from the mesh for good while it still reaches
// the hosts. It stays registered, so every rollout asks it until a person excludes it.

import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pino } from "pino";
import { memberName, Registers, startMesh, toMultiaddr } from "../../mesh/index.ts";
import { LoadClient } from "../../node/cli/demo/load-client.ts";
import { PROXY_TIMING, startProxy } from "../../proxy-agent/proxy.ts";
import { type Answer, get } from "./get.ts";

export interface CutOffProxy {
  readonly name: string;
  readonly http: string;
  readonly admin: string;
  /** Steady GETs through it: so few that this process answers them beside all else on a machine with too much to do. */
  load(): LoadClient;
  get(): Promise<Answer>;
  /** Resolves once it hears nothing of the mesh any more, and says nothing there. */
  cutOff(): Promise<void>;
  stop(): Promise<void>;
}

const HOST = "web.localhost";

/** Resolves when it serves. `stateDir`: of the dev cluster. */
export async function cutOffProxy(stateDir: string): Promise<CutOffProxy> {
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
  const targets = [proxy.http];
  return {
    name,
    http: proxy.http,
    admin: proxy.admin,
    load: () => new LoadClient({ targets, host: HOST, path: "/", ratePerSecond: 10, connections: "both" }),
    get: () => get(`${proxy.http}/`, HOST),
    cutOff: () => mesh.stop(),
    stop: async () => {
      await proxy.stop();
      await mesh.stop();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

/** Of a text, or of the first of a list. */
function settingOf(toml: string, key: string): string {
  const value = new RegExp(`^${key} = \\[?"([^"]*)"`, "m").exec(toml)?.[1];
  if (value === undefined) throw new Error(`no ${key} in ${toml}`);
  return value;
}
