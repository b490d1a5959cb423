// Etcd: three members of it on loopback, driven as our voters are: compare-and-swap of one key after the other, by the revision that
// the one before gave. Over its JSON gateway, on connections that stay open.

import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { mkdirSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import { performance } from "node:perf_hooks";
import { setTimeout as delay } from "node:timers/promises";
import { Pool } from "undici";
import type { ToldLoad } from "../harness/register-protocol.ts";

const MEMBERS = ["etcd-1", "etcd-2", "etcd-3"];
/** There is no event to wait for. */
const LOOK_INTERVAL_MS = 50;
const START_MS_MAX = 30_000;
const CONNECTIONS_MAX = 64;

interface Member {
  readonly name: string;
  readonly peerUrl: string;
  readonly clientUrl: string;
}

/** Null: it is not installed. */
export function etcdVersion(): string | null {
  const { error, stdout } = spawnSync("etcd", ["--version"], { encoding: "utf8" });
  return error === undefined ? (/etcd Version: (\S+)/.exec(stdout)?.[1] ?? "of unknown version") : null;
}

export class Etcd {
  readonly #children: readonly ChildProcess[];
  /** The leader's first. */
  #pools: readonly Pool[] = [];
  readonly #abandon = (): void => {
    for (const child of this.#children) child.kill("SIGKILL");
  };

  /** Resolves when it has a leader. */
  static async start(folder: string): Promise<Etcd> {
    const members: Member[] = [];
    for (const name of MEMBERS) {
      const [peer, client] = await freePorts(2);
      members.push({ name, peerUrl: `http://127.0.0.1:${peer}`, clientUrl: `http://127.0.0.1:${client}` });
    }
    const etcd = new Etcd(members.map((member) => startMember(folder, member, members)));
    try {
      await etcd.#untilLed(members);
      return etcd;
    } catch (error) {
      await etcd.stop();
      throw error;
    }
  }

  private constructor(children: readonly ChildProcess[]) {
    this.#children = children;
    process.once("exit", this.#abandon);
  }

  /** One client for each key, the first at the leader; see `load` of a register's member. `value` is what is written. */
  async load(keys: readonly string[], forMs: number, value: Uint8Array): Promise<ToldLoad> {
    const loads = keys.map((key, at) => {
      const pool = this.#pools[at % this.#pools.length];
      if (pool === undefined) throw new Error("bug: no members");
      return loadKey(pool, key, forMs, Buffer.from(value).toString("base64"));
    });
    const ended = await Promise.all(loads);
    return {
      tookUs: ended.flatMap(({ tookUs }) => tookUs),
      failed: ended.reduce((sum, { failed }) => sum + failed, 0),
    };
  }

  async stop(): Promise<void> {
    await Promise.all(this.#pools.map((pool) => pool.destroy()));
    const running = this.#children.filter(
      ({ exitCode, signalCode }) => exitCode === null && signalCode === null,
    );
    const closed = running.map((child) => once(child, "close"));
    this.#abandon();
    await Promise.all(closed);
    process.off("exit", this.#abandon);
  }

  async #untilLed(members: readonly Member[]): Promise<void> {
    const signal = AbortSignal.timeout(START_MS_MAX);
    const pools = members.map(({ clientUrl }) => new Pool(clientUrl, { connections: CONNECTIONS_MAX }));
    this.#pools = pools;
    for (;;) {
      const leaders = await Promise.all(pools.map(isLeader));
      const leader = leaders.indexOf(true);
      if (leader !== -1 && !leaders.includes(null)) {
        this.#pools = [...pools.slice(leader), ...pools.slice(0, leader)];
        return;
      }
      await delay(LOOK_INTERVAL_MS, undefined, { signal });
    }
  }
}

function startMember(folder: string, member: Member, all: readonly Member[]): ChildProcess {
  const { name, peerUrl, clientUrl } = member;
  const dataDir = join(folder, name);
  mkdirSync(dataDir, { mode: 0o700 });
  const args = {
    name,
    "data-dir": dataDir,
    "listen-peer-urls": peerUrl,
    "initial-advertise-peer-urls": peerUrl,
    "listen-client-urls": clientUrl,
    "advertise-client-urls": clientUrl,
    "initial-cluster": all.map((other) => `${other.name}=${other.peerUrl}`).join(","),
    "initial-cluster-state": "new",
    logger: "zap",
    "log-level": "error",
  };
  const flags = Object.entries(args).map(([flag, text]) => `--${flag}=${text}`);
  return spawn("etcd", flags, { stdio: ["ignore", "ignore", "inherit"] });
}

/** Null: it does not say yet. */
async function isLeader(pool: Pool): Promise<boolean | null> {
  const status = await post<{ readonly header?: { readonly member_id?: string }; readonly leader?: string }>(
    pool,
    "/v3/maintenance/status",
    {},
  ).catch(() => undefined);
  const { header, leader } = status ?? {};
  return leader === undefined || leader === "0" ? null : header?.member_id === leader;
}

async function loadKey(pool: Pool, name: string, forMs: number, value: string): Promise<ToldLoad> {
  const key = Buffer.from(name).toString("base64");
  const tookUs: number[] = [];
  let failed = 0;
  let revision = await revisionOf(pool, key);
  const until = performance.now() + forMs;
  while (performance.now() < until) {
    const begunAt = performance.now();
    const { succeeded, header } = await post<Swapped>(pool, "/v3/kv/txn", {
      compare: [{ key, target: "MOD", mod_revision: revision, result: "EQUAL" }],
      success: [{ requestPut: { key, value } }],
      failure: [{ requestRange: { key } }],
    });
    if (succeeded === true) {
      tookUs.push((performance.now() - begunAt) * 1_000);
      revision = header.revision;
    } else {
      failed += 1;
      revision = await revisionOf(pool, key);
    }
  }
  return { tookUs, failed };
}

interface Swapped {
  readonly succeeded?: boolean;
  readonly header: { readonly revision: string };
}

async function revisionOf(pool: Pool, key: string): Promise<string> {
  const { kvs } = await post<{ readonly kvs?: readonly { readonly mod_revision: string }[] }>(
    pool,
    "/v3/kv/range",
    { key },
  );
  return kvs?.[0]?.mod_revision ?? "0";
}

async function post<Answer>(pool: Pool, path: string, body: object): Promise<Answer> {
  const headers = { "content-type": "application/json" };
  const { statusCode, body: answer } = await pool.request({
    ...{ method: "POST", path, headers },
    body: JSON.stringify(body),
  });
  const text = await answer.text();
  if (statusCode !== 200) throw new Error(`etcd: ${path}: ${statusCode} ${text}`);
  return JSON.parse(text) as Answer;
}

/** Free a moment ago. */
async function freePorts(count: number): Promise<readonly number[]> {
  const servers = Array.from({ length: count }, () => createServer().listen(0, "127.0.0.1"));
  await Promise.all(servers.map((server) => once(server, "listening")));
  const ports = servers.map((server) => (server.address() as { readonly port: number }).port);
  await Promise.all(servers.map((server) => once(server.close(), "close")));
  return ports;
}
