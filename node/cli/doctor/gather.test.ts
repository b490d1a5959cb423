// Facts as this machine gives them: real listeners, folders, processes and names.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { type AddressInfo, createServer, type Server } from "node:net";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { hostPortOf, parseMetrics } from "./gather-cluster.ts";
import { gatherFolder, gatherKey } from "./gather-folder.ts";
import { gatherNames, resolved } from "./gather-names.ts";
import { gatherPort, tryConnect } from "./gather-ports.ts";
import { gatherFiles, gatherMachine, gatherRunning } from "./gather-process.ts";
import { gatherSeeds } from "./gather-seeds.ts";

const LOOPBACK = "127.0.0.1";
/** A label may have 63 characters: the resolver says so itself, and asks nobody. */
const NO_NAME = `${"a".repeat(64)}.invalid`;
const signal = AbortSignal.timeout(60_000);
let folder: string;
let server: Server;
let port: number;

beforeAll(async () => {
  folder = mkdtempSync(path.join(tmpdir(), "grapevine-doctor-"));
  server = createServer((socket) => socket.destroy());
  server.listen(0, LOOPBACK);
  await once(server, "listening");
  ({ port } = server.address() as AddressInfo);
});
afterAll(() => {
  server.close();
  rmSync(folder, { recursive: true });
});

describe("gatherPort() and tryConnect()", () => {
  it("find a port taken, and who has it; once it is closed it is free, and nobody answers there", async () => {
    const held = createServer();
    held.listen(0, LOOPBACK);
    await once(held, "listening");
    const address = { host: LOOPBACK, port: (held.address() as AddressInfo).port };
    const taken = await gatherPort({ key: "listen", address });
    expect(taken).toMatchObject({ key: "listen", code: "EADDRINUSE", holder: { pid: process.pid } });
    expect(taken.holder?.command).toMatch(/^node/);
    expect(await tryConnect(address, signal)).toMatchObject({ ok: true });
    held.close();
    await once(held, "close");
    expect(await gatherPort({ key: "listen", address })).toMatchObject({ code: null, holder: null });
    expect(await tryConnect(address, signal)).toEqual({ ok: false, code: "ECONNREFUSED" });
  });

  it("pass on the system's word for an address that is not this machine's, and for a socket that is not there", async () => {
    // TEST-NET-3: nobody's (RFC 5737).
    const address = { host: "203.0.113.1", port: 7946 };
    expect(await gatherPort({ key: "api", address })).toMatchObject({ code: "EADDRNOTAVAIL" });
    expect(await tryConnect({ path: path.join(folder, "none.sock") }, signal)).toEqual({
      ok: false,
      code: "ENOENT",
    });
  });
});

describe("gatherFolder() and gatherKey()", () => {
  it("write, sync and leave nothing; a folder that is not there is judged by the one it would be made in", async () => {
    const stateDir = path.join(folder, "state");
    mkdirSync(stateDir, { mode: 0o700 });
    const facts = await gatherFolder(stateDir);
    expect(facts).toMatchObject({ at: stateDir, isThere: true, mode: 0o700, write: { ok: true } });
    expect(facts.freeBytes).toBeGreaterThan(0);
    expect(readdirSync(stateDir)).toEqual([]);
    const coming = await gatherFolder(path.join(stateDir, "a", "b"));
    expect(coming).toMatchObject({ at: stateDir, isThere: false, write: { ok: true } });
  });

  it("say what the system says where nobody can write, root or not", async () => {
    const facts = await gatherFolder("/proc/self/task");
    expect(facts).toMatchObject({ isThere: true, freeBytes: null, write: { ok: false } });
    const file = path.join(folder, "file");
    writeFileSync(file, "");
    expect(await gatherFolder(path.join(file, "state"))).toMatchObject({
      at: file,
      write: { code: "ENOTDIR" },
    });
  });

  it("tell a key from what is none, and whom it is for", async () => {
    const stateDir = path.join(folder, "keys");
    mkdirSync(stateDir);
    const file = path.join(stateDir, "mesh-key");
    expect(await gatherKey({ stateDir }, 5)).toMatchObject({
      file,
      code: "ENOENT",
      incarnation: null,
      nowMs: 5,
    });
    writeFileSync(file, "no key", { mode: 0o644 });
    writeFileSync(path.join(stateDir, "mesh-incarnation"), "1700000000001\n");
    expect(await gatherKey({ stateDir }, 5)).toMatchObject({
      code: null,
      isKey: false,
      mode: 0o644,
      incarnation: 1_700_000_000_001,
    });
    writeFileSync(file, Buffer.concat([Buffer.from([0x08, 0x01, 0x12, 0x40]), Buffer.alloc(64)]));
    expect((await gatherKey({ stateDir }, 5)).isKey).toBe(true);
  });
});

describe("gatherMachine(), gatherFiles() and gatherRunning()", () => {
  it("read /proc: of this process the limit, of one that runs also what it has open", async () => {
    expect(gatherMachine()).toMatchObject({
      nodeVersion: process.version,
      hasBootId: true,
      hasProcessTable: true,
      hasShell: true,
    });
    const shell = [
      "-c",
      'ulimit -n 128; exec "$0" "$@"',
      process.execPath,
      "-e",
      "console.log(1); setInterval(() => {}, 1e6)",
      "gate",
    ];
    const child = spawn("/bin/sh", shell, { stdio: ["ignore", "pipe", "ignore"] });
    await once(child.stdout, "data");
    const pid = child.pid ?? 0;
    expect(gatherFiles(null)).toMatchObject({ of: "shell", limit: expect.any(Number), open: null });
    expect(gatherFiles(pid)).toMatchObject({ of: "running", limit: 128, open: expect.any(Number) });
    writeFileSync(path.join(folder, "gate.json"), JSON.stringify({ pid, address: "127.0.0.1:1" }));
    expect(gatherRunning({ program: "gate", stateDir: folder })).toEqual({ pid, api: null });
    // The same pid, of another kind of process: the file is of one that was killed.
    writeFileSync(path.join(folder, "agent.json"), JSON.stringify({ pid, api: "http://127.0.0.1:1" }));
    expect(gatherRunning({ program: "agent", stateDir: folder })).toBeNull();
    child.kill("SIGKILL");
    await once(child, "close");
    expect(gatherRunning({ program: "gate", stateDir: folder })).toBeNull();
  });
});

describe("gatherNames() and gatherSeeds()", () => {
  it("find what names mean, and say why one means nothing; an address is asked of nobody", async () => {
    const names = await gatherNames(["localhost", NO_NAME, LOOPBACK], signal);
    expect([...names.keys()]).toEqual(["localhost", NO_NAME]);
    expect(resolved({ host: "localhost", port: 5 }, names)).toMatchObject({ ok: true, address: { port: 5 } });
    expect(names.get(NO_NAME)).toMatchObject({ ok: false, code: expect.stringMatching(/^E/) });
    const givenUp = await gatherNames(["localhost"], AbortSignal.abort());
    expect(givenUp.get("localhost")).toEqual({ ok: false, code: "timeout" });
    expect(resolved({ host: LOOPBACK, port: 5 }, names)).toEqual({
      ok: true,
      address: { host: LOOPBACK, port: 5 },
    });
  });

  it("try each seed but the member's own, and ask those that answer who they are", async () => {
    const own = "10.0.0.1:7946";
    const seeds = [own, `${LOOPBACK}:${port}`];
    const facts = await gatherSeeds({ seeds, own: [own] }, { withGreeting: true }, signal);
    expect(facts).toMatchObject([
      { seed: own, isOwn: true, connect: null, greeting: null },
      { seed: seeds[1], unresolved: null, connect: { ok: true }, greeting: { ok: false } },
    ]);
    const late = { seeds: ["localhost:7946"], own: [] };
    expect(await gatherSeeds(late, { withGreeting: false }, AbortSignal.abort())).toMatchObject([
      { seed: "localhost:7946", unresolved: "timeout", connect: null },
    ]);
  });
});

it("hostPortOf() reads the multiaddrs that members advertise, parseMetrics() what has no labels", () => {
  expect(hostPortOf("/ip4/10.0.0.1/tcp/7946")).toEqual([{ host: "10.0.0.1", port: 7946 }]);
  expect(hostPortOf("/ip6/::1/tcp/7946")).toEqual([{ host: "::1", port: 7946 }]);
  expect(hostPortOf("/dns/host-1/tcp/7946")).toEqual([{ host: "host-1", port: 7946 }]);
  expect(hostPortOf("/ip4/10.0.0.1/udp/7946/quic-v1")).toEqual([]);
  const text = '# HELP a b\na 1\nb{c="d"} 2\ne_total 3.5\nf 1e+21\n';
  expect([...parseMetrics(text)]).toEqual([
    ["a", 1],
    ["e_total", 3.5],
    ["f", 1e21],
  ]);
});
