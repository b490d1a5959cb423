// A measured proxy: a real one, that also tells each of its route tables in the breath in which it comes into force.

import { mkdirSync } from "node:fs";
import { enableCompileCache } from "node:module";
import { pino } from "pino";
import { Registers, startMesh, toMultiaddr } from "../../../../mesh/index.ts";
import type { RouteTable } from "../../../../proxy-agent/core/route-table.ts";
import { openServingMark } from "../../../../proxy-agent/io/serving-mark.ts";
import { PROXY_TIMING, startProxy } from "../../../../proxy-agent/proxy.ts";
import type { MemberSetting } from "../protocol.ts";
import { Arrivals } from "./arrivals.ts";
import { contactOf, memberConfigOf, untilConnected } from "./grapevine-member.ts";
import { Condition, type MemberClock, type MemberProgram, runMember } from "./member-shell.ts";

const TABLE_TIMEOUT_MS = 60_000;

enableCompileCache();
await runMember(startMember);

async function startMember(setting: MemberSetting, clock: MemberClock): Promise<MemberProgram> {
  const arrivals = new Arrivals(clock, { routes: true });
  const routed = new Condition();
  let healthy = 0;
  const onTable = (table: RouteTable): void => {
    arrivals.tabled(table);
    healthy = [...table.apps.values()].flatMap(({ endpoints }) =>
      endpoints.filter((one) => one.healthy),
    ).length;
    routed.look();
  };
  const logger = pino({ level: "warn" }, pino.destination(2));
  const config = memberConfigOf(setting);
  const { cluster, name, stateDir } = config;
  mkdirSync(stateDir);
  const listen = [toMultiaddr(config.listen)];
  const seeds = config.seeds.map(toMultiaddr);
  const mesh = await startMesh(
    { cluster, name, role: "proxy", stateDir, listen, advertise: [], seeds },
    { logger },
  );
  const http = { host: setting.address, port: 0 };
  const admin = { host: "127.0.0.1", port: 0 };
  // It opens once a voter has admitted it: later than others must be able to reach it.
  const proxy = await startProxy(
    { ...config, http, admin, responseHeaders: true, gate: null, timing: PROXY_TIMING },
    {
      mesh,
      registers: new Registers({ cluster }, { mesh, logger }),
      mark: openServingMark(stateDir, logger),
      meshCounters: () => mesh.metrics(),
      config: {},
      recentLog: () => "",
      logger,
      onTable,
    },
    new AbortController().signal,
  );
  // After the proxy's own: what its table is built from is told to it first.
  mesh.onChange((change) => arrivals.stored(change));
  return {
    contact: contactOf(mesh),
    handlers: {
      meet: async ({ peers }) => {
        await untilConnected(mesh, peers.length);
        return {};
      },
      vms: async ({ count }) => {
        if (await routed.until(() => healthy >= count, TABLE_TIMEOUT_MS)) return {};
        throw new Error(`it routes to ${healthy} of ${count} VMs`);
      },
      gather: (command) => arrivals.gather(command),
      metrics: async () => ({ text: await (await fetch(`${proxy.admin}/metrics`)).text() }),
    },
    stop: async () => {
      await proxy.stop();
      await mesh.stop();
    },
  };
}
