// The commands that look for a fault, as people run them: processes of their own, against an agent's API in this one.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, rmSync, statSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import path from "node:path";
import { list } from "tar";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { memberName } from "../../mesh/index.ts";
import { MemoryHub } from "../../mesh/sim/memory-mesh.ts";
import { type ApiListener, listenApi } from "../api/listen.ts";
import { ApiHarness } from "../api/testing/api-harness.ts";
import { fakeVmEntry, writeVm } from "../api/testing/fake-agent.ts";

const MAIN = path.join(import.meta.dirname, "main.ts");

let folder: string;
let hub: MemoryHub;
let harness: ApiHarness;
let listener: ApiListener;
beforeAll(async () => {
  folder = mkdtempSync(path.join(tmpdir(), "grapevine-introspect-"));
  hub = new MemoryHub();
  harness = new ApiHarness(hub);
  writeVm(harness.voterMesh, fakeVmEntry("hello-v1-1", memberName("host-1")));
  harness.otherMesh.write("custom/secret", new TextEncoder().encode("hunter2"));
  const socketFile = path.join(folder, "api.sock");
  listener = await listenApi(harness.voterApi, { api: { host: "127.0.0.1", port: 0 }, socketFile });
});
afterAll(async () => {
  await listener.close();
  await harness.stop();
  rmSync(folder, { recursive: true });
});

interface Ended {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

function start(...args: readonly string[]): {
  readonly kill: () => void;
  readonly seen: (text: string) => Promise<void>;
  readonly ended: Promise<Ended>;
} {
  const env = { ...process.env, GRAPEVINE_API: listener.url, TMPDIR: folder };
  const child = spawn(process.execPath, [MAIN, ...args], {
    env,
    cwd: folder,
    stdio: ["ignore", "pipe", "pipe"],
  });
  const texts = { stdout: "", stderr: "" };
  const watchers = new Set<() => void>();
  child.stdout.on("data", (chunk: Buffer) => {
    texts.stdout += chunk.toString();
    for (const watch of watchers) watch();
  });
  child.stderr.on("data", (chunk: Buffer) => (texts.stderr += chunk.toString()));
  const ended = once(child, "close").then(([code]) => ({ code: code as number | null, ...texts }));
  const seen = (text: string): Promise<void> =>
    new Promise((resolve, reject) => {
      const look = (): void => {
        if (texts.stdout.includes(text)) resolve();
      };
      watchers.add(look);
      look();
      ended.then((end) => reject(new Error(`ended without ${text}: ${JSON.stringify(end)}`))).catch(reject);
    });
  return { kill: () => child.kill("SIGINT"), seen, ended };
}

const run = (...args: readonly string[]): Promise<Ended> => start(...args).ended;

describe("status --hosts, diff and why", () => {
  it("return 0 with what is so, as tables and as one JSON value", async () => {
    const [status, json, equal, why] = await Promise.all([
      run("status", "--hosts"),
      run("status", "--hosts", "--json"),
      run("diff", "host-1", "host-2"),
      run("why", "hello-v1-1", "--json"),
    ]);
    expect(status).toMatchObject({ code: 0, stderr: "" });
    expect(status.stdout).toMatch(
      /^MEMBER .*\nhost-1 .* yes .*\nhost-2 .* yes .*\nall members hold the same/,
    );
    expect(JSON.parse(json.stdout)).toMatchObject({ askedBy: "host-1", synced: true });
    expect(equal).toMatchObject({
      code: 0,
      stdout: "host-1 and host-2 hold the same: the states of 2 members\n",
    });
    expect(JSON.parse(why.stdout)).toMatchObject({
      vm: "hello-v1-1",
      app: "hello",
      said: [{ by: "host-1" }],
    });
  });

  it("say what to write instead", async () => {
    const [status, diff, why, query] = await Promise.all([
      run("status", "hello", "--hosts"),
      run("diff", "host-1", "host-9"),
      run("why", "nope"),
      run("query", "select 1", "--csv", "--json"),
    ]);
    expect(status).toMatchObject({ code: 2, stdout: "" });
    expect(diff.stderr).toContain("there is no member host-9; there are host-1, host-2");
    expect(why).toMatchObject({ code: 2, stdout: "" });
    expect(why.stderr).toContain("no member has heard of a VM nope");
    expect(query.code).toBe(2);
  });
});

describe("query", () => {
  it("prints a table, CSV, or one JSON value", async () => {
    const sql = "select vm, address, reason from vms where vm = ?";
    const [table, csv, json, wrong] = await Promise.all([
      run("query", sql, "--param", "hello-v1-1"),
      run("query", sql, "--param", "hello-v1-1", "--csv"),
      run("query", sql, "--param", "hello-v1-1", "--json"),
      run("query", "select * from nope"),
    ]);
    expect(table).toMatchObject({
      code: 0,
      stdout: "vm          address          reason\nhello-v1-1  127.0.0.1:20000  -\n",
    });
    expect(csv.stdout).toBe("vm,address,reason\nhello-v1-1,127.0.0.1:20000,\n");
    expect(JSON.parse(json.stdout)).toEqual({
      columns: ["vm", "address", "reason"],
      rows: [["hello-v1-1", "127.0.0.1:20000", null]],
      truncated: false,
    });
    expect(wrong).toMatchObject({ code: 2, stdout: "" });
    expect(wrong.stderr).toContain("no such table: nope; the tables are vms, apps");
  });

  it("--watch prints the result and what changes, until Ctrl-C; watch does so for entries", async () => {
    const query = start("query", "--watch", "select key, bytes from entries where key like 'custom/w%'");
    const watch = start("watch", "custom/w", "--json");
    await Promise.all([query.seen("-- 0 rows; changes follow\n"), watch.seen('"snapshotEnd"')]);
    harness.voterMesh.write("custom/w", new Uint8Array(3));
    await Promise.all([query.seen("+ custom/w  3\n"), watch.seen('"change"')]);
    query.kill();
    watch.kill();
    expect(await query.ended).toMatchObject({ code: 0, stderr: "" });
    const lines = (await watch.ended).stdout.trimEnd().split("\n");
    expect(lines.map((line) => Object.keys(JSON.parse(line) as object)[1])).toEqual(
      expect.arrayContaining(["watch", "snapshotEnd", "change"]),
    );
  });
});

describe("debug bundle", () => {
  it("writes one file for its owner alone, without secrets, and says what is missing", async () => {
    const silent = hub.join({ name: "proxy-1", role: "proxy" });
    silent.announce();
    await Promise.resolve();
    hub.disconnect(harness.voterMesh, silent);
    const target = path.join(folder, "report.tar.gz");
    const bundle = await run("debug", "bundle", target, "--json");
    expect(bundle, bundle.stderr).toMatchObject({ code: 6 });
    const { written, missing } = JSON.parse(bundle.stdout) as {
      written: string[];
      missing: { file: string; problem: string }[];
    };
    expect(missing).toContainEqual({
      file: "members/proxy-1/log.ndjson.error.txt",
      problem: "proxy-1 does not answer: not connected",
    });
    expect(statSync(target).mode & 0o777).toBe(0o600);
    const files = new Map<string, string>();
    await list({
      file: target,
      onReadEntry: (entry) => {
        const chunks: Buffer[] = [];
        entry.on("data", (chunk: Buffer) => chunks.push(chunk));
        entry.on("end", () =>
          files.set(entry.path.replace(/^[^/]*\//, ""), Buffer.concat(chunks).toString()),
        );
      },
    });
    expect([...written, ...missing.map(({ file }) => file)].filter((file) => !files.has(file))).toEqual([]);
    expect(JSON.parse(files.get("members/host-2/about.json") ?? "")).toMatchObject({
      config: { name: "host-2" },
    });
    expect(files.get("README.txt")).toContain(
      "- members/proxy-1/log.ndjson.error.txt: proxy-1 does not answer",
    );
    expect([...files.values()].join("")).not.toContain("hunter2");
    const again = await run("debug", "bundle", target);
    expect(again).toMatchObject({ code: 2, stdout: "" });
    expect(again.stderr).toContain("is there already: name another file");
    await silent.stop();
  });

  it("that cannot be written is told before anybody is asked for parts, and leaves nothing behind", async () => {
    const agent = await slowAgent();
    const target = path.join(folder, "no", "such", "folder.tar.gz");
    const bundle = await run("debug", "bundle", target, "--api", agent.url);
    expect(bundle).toMatchObject({ code: 2, stdout: "" });
    expect(bundle.stderr).toContain("cannot write");
    expect(existsSync(target)).toBe(false);
    expect(agent.asked).toEqual(["/v1/members"]);
    agent.close();
  });

  it("that is interrupted leaves nothing behind", async () => {
    const agent = await slowAgent();
    const target = path.join(folder, "interrupted.tar.gz");
    const bundle = start("debug", "bundle", target, "--api", agent.url);
    await agent.isAskedForParts;
    expect(existsSync(target)).toBe(true);
    bundle.kill();
    expect(await bundle.ended).toMatchObject({ code: 3, stdout: "" });
    expect(existsSync(target)).toBe(false);
    agent.close();
  });
});

/** Says that it has no members, and answers nothing else. */
async function slowAgent() {
  const asked: (string | undefined)[] = [];
  const { promise: isAskedForParts, resolve } = Promise.withResolvers<void>();
  const server = createServer(({ url }, response) => {
    asked.push(url);
    if (url === "/v1/members") response.end("[]");
    else resolve();
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const close = (): void => {
    server.close();
    server.closeAllConnections();
  };
  const { port } = server.address() as AddressInfo;
  return { url: `http://127.0.0.1:${port}`, asked, isAskedForParts, close };
}
