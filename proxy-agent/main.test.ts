import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, watch } from "node:fs";
import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import path from "node:path";
import { pathToFileURL } from "node:url";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { encodeRecord, type Mesh, vmKey, vmName } from "../mesh/index.ts";
import { untilSeen } from "../mesh/sim/until.ts";
import { ask } from "./testing/client.ts";
import { appRecord, desiredVm, startUpstream, vmEntry } from "./testing/cluster.ts";
import { newRoot, VoterHost } from "./testing/voter.ts";

let folder: string;
const children: ChildProcess[] = [];
beforeEach(async () => {
  folder = await mkdtemp(path.join(tmpdir(), "grapevine-proxy-"));
});
afterEach(async () => {
  for (const child of children.splice(0)) child.kill("SIGKILL");
  await rm(folder, { recursive: true, force: true });
});

interface Run {
  readonly child: ChildProcess;
  readonly ended: Promise<{ readonly code: number | null; readonly output: string; readonly errors: string }>;
}

/** A real process that runs `runProxy(argv)`. */
function run(...argv: readonly string[]): Run {
  const main = pathToFileURL(path.join(import.meta.dirname, "main.ts")).href;
  const script = `import { runProxy } from ${JSON.stringify(main)}; process.exitCode = await runProxy(${JSON.stringify(argv)});`;
  const child = spawn(process.execPath, ["--input-type=module", "-e", script], {
    stdio: ["pipe", "pipe", "pipe"],
  });
  children.push(child);
  let output = "";
  let errors = "";
  child.stdout.on("data", (chunk) => {
    output += chunk;
  });
  child.stderr.on("data", (chunk) => {
    errors += chunk;
  });
  const ended = once(child, "close").then(([code]) => ({ code: code as number | null, output, errors }));
  return { child, ended };
}

async function writeConfig(lines: Readonly<Record<string, unknown>>): Promise<string> {
  const keys = {
    name: "proxy-1",
    state_dir: "state",
    cluster: SOME_CLUSTER,
    listen: "127.0.0.1:0",
    ...lines,
  };
  const text = Object.entries(keys).map(([key, value]) => `${key} = ${JSON.stringify(value)}`);
  const file = path.join(folder, "proxy.toml");
  await writeFile(file, `${text.join("\n")}\n`);
  return file;
}

/** Of the form that `grapevine init` prints; which one does not matter where nobody is met. */
const SOME_CLUSTER = `12D3KooW${"A".repeat(44)}`;

/** Resolves once the file is there. */
async function untilThere(file: string): Promise<void> {
  await mkdir(path.dirname(file), { recursive: true });
  const watcher = watch(path.dirname(file));
  while (!existsSync(file)) await once(watcher, "change");
  watcher.close();
}

describe("grapevine proxy", () => {
  test("prints its help and ends with 0", async () => {
    const { code, output } = await run("--help").ended;
    expect(code).toBe(0);
    expect(output).toContain("--config <file>");
  });

  test("without a file, with an unknown key or with one of the wrong kind ends with 2 and says where", async () => {
    expect(await run().ended).toMatchObject({ code: 2, errors: expect.stringContaining("--config") });
    const file = await writeConfig({ htpp: "127.0.0.1:1", admin: "0.0.0.0:9000" });
    const { code, errors } = await run("--config", file).ended;
    expect(code).toBe(2);
    expect(errors).toContain(`${file}:5: htpp: unknown key \`htpp\`: did you mean \`http\`?`);
    expect(errors).toContain('admin: must be "host:port" on loopback');
  });

  test("whose file still names voters ends with 2 and says where they are now", async () => {
    const file = await writeConfig({ voters: ["host-1"] });
    const { code, errors } = await run("--config", file).ended;
    expect({ code, errors }).toEqual({
      code: 2,
      errors: `${file}:5: voters: is not set here any more: \`grapevine voters\` shows and changes them\n`,
    });
  });

  test("whose port is taken ends with 2 before it meets the cluster", async () => {
    const taken = createServer().listen(0, "127.0.0.1");
    await once(taken, "listening");
    const { port } = taken.address() as { port: number };
    const { code, errors } = await run("--config", await writeConfig({ http: `127.0.0.1:${port}` })).ended;
    expect(code).toBe(2);
    expect(errors).toContain(`cannot listen on 127.0.0.1:${port}: the port is taken`);
    expect(existsSync(path.join(folder, "state", "proxy.json"))).toBe(false);
    taken.close();
  });

  test("whose state folder cannot be made ends with 2 and says so", async () => {
    const file = await writeConfig({ state_dir: "/dev/null/state" });
    const { code, errors } = await run("--config", file).ended;
    expect(code).toBe(2);
    expect(errors).toMatch(/^grapevine proxy: state_dir = "\/dev\/null\/state": cannot be used: .*\n$/);
  });

  test("that knows of no voter says so, and ends on SIGTERM", async () => {
    const proxy = run("--config", await writeConfig({ http: "127.0.0.1:0" }));
    await untilSaid(proxy, "no voters are known yet: no host of the cluster can be reached");
    proxy.child.kill("SIGTERM");
    expect(await proxy.ended).toMatchObject({ code: 0 });
  });

  test("serves over the real mesh, says where, and ends with its parent", async () => {
    const root = await newRoot(folder);
    const host = await VoterHost.start({ folder, root });
    host.mesh.announce();
    const vm = await startUpstream((_request, response) => response.end("hello from a VM"));
    const { seeds } = host;
    const config = await writeConfig({ cluster: root.id, http: "127.0.0.1:0", seeds });
    const { child, ended } = run("--config", config, "--exit-with-parent");
    const ready = path.join(folder, "state", "proxy.json");
    // A cluster that gets its voters only when a proxy waits for them already.
    await untilSeen(host.mesh, () => host.mesh.store.list("proxy/").length === 1);
    expect(existsSync(ready)).toBe(false);
    await host.nameVoter();
    await serveOn(host, vm.port);
    await Promise.race([untilThere(ready), ended.then(({ errors }) => Promise.reject(new Error(errors)))]);
    const { name, http, pid } = JSON.parse(await readFile(ready, "utf8"));
    expect({ name, pid }).toEqual({ name: "proxy-1", pid: child.pid });
    expect(await ask({ port: Number(new URL(http).port) })).toMatchObject({
      status: 200,
      body: "hello from a VM",
    });
    expect(host.mesh.store.list("proxy/")).toHaveLength(1);
    child.stdin?.end();
    expect(await ended).toMatchObject({ code: 0, output: "" });
    expect(host.mesh.store.list("proxy/")).toEqual([]);
    expect(existsSync(ready)).toBe(false);
    await vm.close();
    await host.stop();
  });

  test("after kill -9 serves at once from its last state, stale until a voter is back, and closed after a SIGTERM", async () => {
    const vm = await startUpstream((_request, response) => response.end("hello from a VM"));
    const root = await newRoot(folder);
    let host = await VoterHost.start({ folder, root });
    await host.nameVoter();
    await serveOn(host, vm.port);
    host.mesh.announce();
    const { seeds } = host;
    const keys = { cluster: root.id, http: "127.0.0.1:0", admin: "127.0.0.1:0", seeds };
    const config = await writeConfig(keys);
    const first = run("--config", config);
    await untilOnDisk((await untilReady(first)).admin, host.mesh);
    first.child.kill("SIGKILL");
    await first.ended;
    await host.stop();

    const second = run("--config", config);
    const { http, admin } = await untilReady(second);
    const answer = await ask({ port: Number(new URL(http).port) });
    expect(answer).toMatchObject({ body: "hello from a VM", headers: { "grapevine-stale": "1" } });
    expect(await status(admin)).toMatchObject({ serving: true, stale: true });
    host = await VoterHost.start({ folder, root, listen: host.mesh.listenAddresses });
    await serveOn(host, vm.port);
    host.mesh.announce();
    await expect.poll(() => status(admin), { timeout: 20_000 }).toMatchObject({ stale: false });
    second.child.kill("SIGTERM");
    expect(await second.ended).toMatchObject({ code: 0 });
    await host.stop();

    const third = run("--config", config);
    await untilSaid(third, "no majority of the voters (host-1) can be reached");
    expect(existsSync(path.join(folder, "state", "proxy.json"))).toBe(false);
    third.child.kill("SIGTERM");
    await third.ended;
    await vm.close();
  }, 60_000);

  /** An app of one VM. */
  async function serveOn(host: VoterHost, vmPort: number): Promise<void> {
    host.mesh.write(vmKey(vmName("hello-v1-1")), encodeRecord(vmEntry("hello-v1-1", vmPort)));
    await host.commit(appRecord({ vms: [desiredVm("hello-v1-1")] }));
  }

  async function untilReady({ child }: Run): Promise<{ readonly http: string; readonly admin: string }> {
    const ready = path.join(folder, "state", "proxy.json");
    const read = async () => (existsSync(ready) ? JSON.parse(await readFile(ready, "utf8")) : null);
    await expect.poll(read, { timeout: 20_000 }).toMatchObject({ pid: child.pid });
    return read();
  }

  async function status(admin: string): Promise<unknown> {
    return (await fetch(`${admin}/v1/status`)).json();
  }

  /** Of two batches that end from now on the second was begun from now on: it has all that the proxy serves. */
  async function untilOnDisk(admin: string, host: Mesh): Promise<void> {
    const written = async (): Promise<number> => {
      const text = await (await fetch(`${admin}/metrics`)).text();
      return Number(/^grapevine_mesh_snapshot_written_total (\d+)$/m.exec(text)?.[1] ?? 0);
    };
    const enough = (await written()) + 2;
    const look = async (): Promise<number> => {
      host.write("custom/turn", encodeRecord({ atMs: performance.now() }));
      return written();
    };
    await expect.poll(look, { timeout: 20_000 }).toBeGreaterThanOrEqual(enough);
  }

  async function untilSaid({ child, ended }: Run, words: string): Promise<void> {
    const { promise: said, resolve } = Promise.withResolvers<void>();
    let errors = "";
    child.stderr?.on("data", (chunk) => {
      errors += chunk;
      if (errors.includes(words)) resolve();
    });
    await Promise.race([said, ended.then(() => Promise.reject(new Error(`ended without: ${words}`)))]);
  }
});
