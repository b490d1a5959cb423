import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { z } from "zod";
import { appName, bundleHash } from "../core/ids.ts";
import { type AppRecord, type CommittedApp, decodeCommittedApp } from "../records/app.ts";
import { decodeRecord, encodeRecord } from "../records/record-codec.ts";
import { REGISTER_READ_SERVICE } from "../register/register.ts";
import { MemoryHub } from "../sim/memory-mesh.ts";
import { publishCommits, serveRegister } from "./register-service.ts";
import { SingleVoterRegister } from "./register-store.ts";

const hello = appName("hello");

function record(overrides: Partial<AppRecord> = {}): AppRecord {
  return {
    format: 1,
    app: hello,
    deleted: false,
    hostnames: ["hello.localhost"],
    releases: [],
    current: null,
    lastRelease: 0,
    vms: [],
    rollout: null,
    ...overrides,
  };
}

function release(env: Readonly<Record<string, string>>): AppRecord["releases"][number] {
  const stop = { signal: "SIGTERM", timeoutMs: 1 };
  const deploy = { strategy: "rolling", drainTimeoutMs: 1, waitTimeoutMs: 1 } as const;
  const bundle = { hash: bundleHash("0".repeat(64)), bytes: 1 };
  const shape = { name: "hello", hostnames: [], count: 1, command: ["true"], checks: [] };
  const spec = { ...shape, env, stop, deploy, bundle };
  return { number: 1, specHash: "1", spec, vmsNamed: 0, submittedAtMs: 0 };
}

let folder: string;
let path: string;
const opened: SingleVoterRegister[] = [];

function open(onCommit: (committed: CommittedApp) => void = () => undefined): SingleVoterRegister {
  const register = new SingleVoterRegister({ path }, { onCommit });
  opened.push(register);
  return register;
}

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "register-"));
  path = join(folder, "register.sqlite");
});
afterEach(() => {
  for (const register of opened.splice(0)) register.stop();
  rmSync(folder, { recursive: true });
});

describe("SingleVoterRegister", () => {
  it("commits epoch after epoch and tells each to its listener", async () => {
    const told: number[] = [];
    const register = open(({ epoch }) => told.push(epoch));
    expect(await register.read(hello)).toBeNull();
    expect(await register.swap(hello, 0, record())).toMatchObject({ code: "committed" });
    expect(await register.swap(hello, 1, record({ lastRelease: 1 }))).toMatchObject({ code: "committed" });
    expect(told).toEqual([1, 2]);
    expect(await register.read(hello)).toMatchObject({ epoch: 2, record: { lastRelease: 1 } });
  });

  it("answers a swap of an epoch that no longer stands with what does, and changes nothing", async () => {
    const register = open();
    await register.swap(hello, 0, record());
    const late = await register.swap(hello, 0, record({ lastRelease: 9 }));
    expect(late).toMatchObject({ code: "conflict", current: { epoch: 1, record: { lastRelease: 0 } } });
    expect(await register.swap(hello, 5, record())).toMatchObject({ code: "conflict" });
    expect((await register.list()).length).toBe(1);
  });

  it("lets exactly one of two swaps at once win", async () => {
    const register = open();
    const results = await Promise.all([register.swap(hello, 0, record()), register.swap(hello, 0, record())]);
    expect(results.map((result) => result.code).sort()).toEqual(["committed", "conflict"]);
  });

  it("has after a restart what it committed, and start() tells it anew", async () => {
    const first = open();
    await first.swap(hello, 0, record({ lastRelease: 4 }));
    await first.swap(appName("another"), 0, record({ app: appName("another"), deleted: true }));
    first.stop();
    const told: string[] = [];
    const second = open(({ epoch, record: told_ }) => told.push(`${told_.app} ${epoch}`));
    second.start();
    expect(told).toEqual(["another 1", "hello 1"]);
    expect(await second.swap(hello, 1, record())).toMatchObject({ code: "committed" });
  });

  it("refuses a second agent on the same file with the reason", () => {
    open();
    expect(() => open()).toThrow(/in use: another agent/);
  });

  it("refuses a file that is no database, and one of a newer format", () => {
    writeFileSync(path, "this is not a database, it only looks like a file of some length".repeat(20));
    expect(() => open()).toThrow(/cannot be used .*restore/);
    rmSync(path);
    const newer = new DatabaseSync(path);
    newer.exec("PRAGMA user_version = 7");
    newer.close();
    expect(() => open()).toThrow(/has format 7, this release reads 1/);
  });

  it("names the app whose row cannot be decoded", async () => {
    const register = open();
    await register.swap(hello, 0, record());
    register.stop();
    const database = new DatabaseSync(path);
    database.prepare("UPDATE app SET record = ?").run(new Uint8Array([0xc1, 2, 3]));
    database.close();
    expect(() => open()).toThrow(/the record of app hello cannot be read \(not msgpack\)/);
  });

  it("rejects a record that no entry can carry before it is on disk", async () => {
    const register = open();
    const env = Object.fromEntries(Array.from({ length: 9 }, (_, at) => [`key-${at}`, "x".repeat(8_000)]));
    await expect(register.swap(hello, 0, record({ releases: [release(env)] }))).rejects.toThrow(
      /an entry at most 65536/,
    );
    expect(await register.read(hello)).toBeNull();
  });

  it("rejects a record that its readers would refuse: on disk it would keep the voter from starting", async () => {
    const register = open();
    await register.swap(hello, 0, record());
    await expect(register.swap(hello, 1, record({ lastRelease: -1 }))).rejects.toThrow(
      /the record of hello is not valid: lastRelease: /,
    );
    expect(await register.read(hello)).toMatchObject({ epoch: 1, record: { lastRelease: 0 } });
    register.stop();
    expect(await open().read(hello)).toMatchObject({ epoch: 1 });
  });
});

describe("the register on the mesh", () => {
  it("gossips each commit as app/NAME and serves all of them in chunks to who joins", async () => {
    const hub = new MemoryHub();
    const voter = hub.join({ name: "host-1", role: "host" });
    const proxy = hub.join({ name: "proxy-1", role: "proxy" });
    const register = new SingleVoterRegister({ path }, { onCommit: publishCommits(voter) });
    opened.push(register);
    serveRegister(voter, register);
    voter.announce();
    const hostnames = Array.from({ length: 32 }, (_, index) => `host-${index}`.padEnd(250, "x"));
    for (let index = 0; index < 60; index += 1) {
      const app = appName(`app-${index}`);
      await register.swap(app, 0, record({ app, hostnames }));
    }
    const chunks: Uint8Array[] = [];
    const signal = new AbortController().signal;
    for await (const chunk of proxy.call(voter.self.owner, REGISTER_READ_SERVICE, new Uint8Array(), signal)) {
      chunks.push(chunk);
    }
    expect(chunks.length).toBeGreaterThan(1);
    const shape = z.object({ format: z.literal(1), apps: z.array(z.instanceof(Uint8Array)) });
    const answer = decodeRecord(shape, Buffer.concat(chunks));
    if (!answer.ok) throw new Error(answer.error);
    expect(answer.value.apps.every((bytes) => decodeCommittedApp(bytes).ok)).toBe(true);
    expect(answer.value.apps.length).toBe(60);
    const gossiped = proxy.store.list("app/").map((entry) => entry.key);
    expect(gossiped.length).toBe(60);
    await Promise.all([voter.stop(), proxy.stop()]);
  });

  it("answers a reader only once it holds the entry by which the reader is known", async () => {
    const hub = new MemoryHub();
    const voter = hub.join({ name: "host-1", role: "host" });
    const proxy = hub.join({ name: "proxy-1", role: "proxy" });
    const register = new SingleVoterRegister({ path }, { onCommit: publishCommits(voter) });
    opened.push(register);
    serveRegister(voter, register);
    voter.announce();
    const key = "proxy/proxy-1";
    const version = proxy.write(key, new Uint8Array([1]));
    const read = async (request: Uint8Array) => {
      const signal = new AbortController().signal;
      for await (const _chunk of proxy.call(voter.self.owner, REGISTER_READ_SERVICE, request, signal));
      return "read";
    };
    const request = encodeRecord({ format: 1, holds: { key, version } });
    await expect(read(request)).rejects.toThrow(/host-1 does not hold proxy\/proxy-1 at .* yet/);
    proxy.announce();
    await proxy.sync(voter.self.owner, new AbortController().signal);
    expect(await read(request)).toBe("read");
    const newer = encodeRecord({
      format: 1,
      holds: { key, version: { ...version, counter: version.counter + 1 } },
    });
    await expect(read(newer)).rejects.toThrow(/does not hold/);
    await expect(read(new Uint8Array([0xc1]))).rejects.toThrow(/register-read: /);
    await Promise.all([voter.stop(), proxy.stop()]);
  });
});
