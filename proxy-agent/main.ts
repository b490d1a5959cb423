// Main: `grapevine proxy --config FILE`, from the file to a proxy that serves, until a signal ends it.

import { rm } from "node:fs/promises";
import path from "node:path";
import {
  type HostPort,
  makeStateFolder,
  parseHostPort,
  Registers,
  startMesh,
  toMultiaddr,
} from "../mesh/index.ts";
import { type ProxyConfig, publicConfig, readProxyConfig } from "./config.ts";
import { aborted } from "./io/end-of-life.ts";
import { reservePort } from "./io/reserve-port.ts";
import { type Log, runMember, writeReady } from "./io/run-member.ts";
import { openServingMark } from "./io/serving-mark.ts";
import { PROXY_TIMING, type ProxyOptions, startProxy } from "./proxy.ts";

/** What a supervisor or a test reads to find the proxy: written once it serves, gone once it does not. */
const READY_FILE = "proxy.json";

/** `argv` is what follows "proxy". Resolves to the exit code once all is closed. */
export function runProxy(argv: readonly string[]): Promise<number> {
  return runMember(
    {
      word: "proxy",
      description:
        "Runs a proxy: routes requests by Host to the VMs of each app, and acknowledges what it routes.",
      end: "takes no new connection, finishes what runs for at most 10 s, leaves the cluster, exits 0.",
      readConfig: readProxyConfig,
      nameOf: ({ name }) => name,
      serve,
    },
    argv,
  );
}

async function serve(config: ProxyConfig, { logger, recentLog }: Log, signal: AbortSignal): Promise<void> {
  const { cluster, name, stateDir } = config;
  makeStateFolder(stateDir, 0o700);
  const readyFile = path.join(stateDir, READY_FILE);
  await rm(readyFile, { force: true });
  // Before anything meets the cluster: a second start of a proxy that runs must not disturb it.
  await reservePort(config.http);
  await reservePort(config.admin);
  await reservePort(hostPortOf(config.listen));
  const listen = [toMultiaddr(config.listen)];
  const advertise = config.advertise.map(toMultiaddr);
  const seeds = config.seeds.map(toMultiaddr);
  const mesh = await startMesh(
    { cluster, name, role: "proxy", stateDir, listen, advertise, seeds },
    { logger },
  );
  try {
    const deps = {
      mesh,
      registers: new Registers({ cluster }, { mesh, logger }),
      mark: openServingMark(stateDir, logger),
      meshCounters: () => mesh.metrics(),
      config: publicConfig(config),
      recentLog,
      logger,
    };
    const proxy = await startProxy({ ...config, gate: gateOf(config), timing: PROXY_TIMING }, deps, signal);
    const { http, admin } = proxy;
    await writeReady(readyFile, { name, http, admin, pid: process.pid });
    await aborted(signal);
    logger.info("proxy stops");
    await rm(readyFile, { force: true });
    await proxy.stop();
  } finally {
    await mesh.stop();
  }
}

function gateOf({ cluster, gateSocket }: ProxyConfig): ProxyOptions["gate"] {
  return gateSocket === null ? null : { cluster, socket: gateSocket };
}

function hostPortOf(validated: string): HostPort {
  const parsed = parseHostPort(validated);
  if (!parsed.ok) throw new Error(`main: ${parsed.error}`);
  return parsed.value;
}
