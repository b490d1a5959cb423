// A Serf agent, to compare with: `serf` as its package has it, with its LAN profile, told and heard over its RPC. That is the way
// with the least latency: an event handler would start a process for each event.

import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync, writeFileSync } from "node:fs";
import { type AddressInfo, connect, createServer } from "node:net";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import type { MemberSetting } from "../protocol.ts";
import { FloorBooks } from "./floor-books.ts";
import { type MemberClock, type MemberProgram, runMember } from "./member-shell.ts";
import { SerfRpc } from "./serf-rpc.ts";

const START_TRIES = 200;
const LOOK_MS = 50;
/** USER_HZ: of the times in /proc/PID/stat. */
const TICKS_PER_SECOND = 100;
/** Serf's own bound is 512 bytes, name included; ours are as large as our gossip messages. */
const EVENT_BYTES_MAX = 9 * 1024;
const EVENT = "bench";

await runMember(startSerf);

async function startSerf(setting: MemberSetting, clock: MemberClock): Promise<MemberProgram> {
  const { name, address, folder } = setting;
  const [bind, rpcPort] = [await freePort(address), await freePort("127.0.0.1")];
  const configFile = join(folder, "serf.json");
  writeFileSync(configFile, JSON.stringify({ user_event_size_limit: EVENT_BYTES_MAX }));
  const child = spawn(
    "serf",
    [
      "agent",
      `-config-file=${configFile}`,
      `-node=${name}`,
      `-bind=${address}:${bind}`,
      `-rpc-addr=127.0.0.1:${rpcPort}`,
      "-log-level=err",
    ],
    { stdio: ["ignore", "ignore", "inherit"] },
  );
  const rpc = await connectRpc(child, rpcPort);
  const books = new FloorBooks(name, clock);
  await rpc.stream(`user:${EVENT}`, (payload) => books.arrived(payload));
  return {
    contact: `${address}:${bind}`,
    handlers: {
      meet: async ({ peers }) => {
        const [first] = peers;
        if (first !== undefined) await rpc.join(first.contact);
        while ((await rpc.aliveMembers()) <= peers.length) await delay(LOOK_MS);
        return {};
      },
      // Committed when the agent says that it took it: the way to it is not counted against Serf.
      run: (command) =>
        books.run(command, async (event) => {
          await rpc.event(EVENT, event);
          return clock.nowMs();
        }),
      gather: (command) => books.gather(command),
      usage: async () => ({ atMs: clock.nowMs(), ...usageOf(child.pid ?? 0) }),
      load: async () => ({ sentBytes: null, lag: null }),
    },
    stop: async () => {
      rpc.close();
      if (child.exitCode === null && child.signalCode === null) {
        child.kill("SIGKILL");
        await once(child, "exit");
      }
    },
  };
}

async function connectRpc(child: ChildProcess, port: number): Promise<SerfRpc> {
  for (let tries = 0; tries < START_TRIES; tries += 1) {
    if (child.exitCode !== null || child.pid === undefined) throw new Error("serf ended at its start");
    const socket = connect({ host: "127.0.0.1", port, noDelay: true });
    const isOpen = await once(socket, "connect").then(
      () => true,
      () => false,
    );
    if (isOpen) return await SerfRpc.open(socket);
    await delay(LOOK_MS);
  }
  throw new Error("serf does not open its RPC port");
}

/** Of the Serf agent alone, not of this process that listens to it. */
function usageOf(pid: number): { readonly cpuMs: number; readonly rssBytes: number } {
  const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
  // Behind the name, which may have spaces: state is the third field, utime and stime the 14th and 15th.
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  const ticks = Number(fields[11]) + Number(fields[12]);
  const rss = /^VmRSS:\s*(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1] ?? "0";
  return { cpuMs: (ticks / TICKS_PER_SECOND) * 1_000, rssBytes: Number(rss) * 1_024 };
}

async function freePort(address: string): Promise<number> {
  const server = createServer();
  server.listen(0, address);
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, "close");
  return port;
}
