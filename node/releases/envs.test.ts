import { mkdtemp, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pino } from "pino";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import {
  type AppRecord,
  appName,
  type CommittedApp,
  type EnvRef,
  encodeRecord,
  type MemberRole,
  type Mesh,
  memberName,
  type Rollout,
  vmName,
} from "../../mesh/index.ts";
import { MemoryHub } from "../../mesh/sim/memory-mesh.ts";
import { fakeRollout, fakeSealedSpec } from "../api/testing/fake-agent.ts";
import type { EnvValues } from "./env-blob.ts";
import { Envs } from "./envs.ts";

const never = new AbortController().signal;
const values = { PASSWORD: "hunter2", USER: "böb" };
let root = "";
let hub: MemoryHub;
/** What every host holds of what the voters certified. */
let apps: CommittedApp[] = [];
let nowMs = 0;

beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), "grapevine-envs-"));
  hub = new MemoryHub();
  apps = [];
  nowMs = Date.now();
});
afterEach(() => rm(root, { recursive: true, force: true }));

interface Member {
  readonly mesh: Mesh;
  readonly envs: Envs;
}

async function joined(name: string, role: MemberRole = "host"): Promise<Member> {
  const mesh = hub.join({ name, role });
  mesh.announce();
  const options = {
    folder: join(root, name),
    fetch: { stallTimeoutMs: 60_000, retryForMs: 0, awayForMs: 0 },
  };
  const logger = pino({ level: "silent" });
  const envs = await Envs.open(options, {
    mesh,
    apps: { all: () => apps as never },
    logger,
    nowMs: () => nowMs,
  });
  return { mesh, envs };
}

async function sealed({ envs }: Member, of: EnvValues = values): Promise<EnvRef> {
  const ref = await envs.seal(of);
  if (!ref.ok || ref.value === undefined) throw new Error("not sealed");
  return ref.value;
}

/** A record that has a release with this env, of which `host` runs a VM. */
function commit(env: EnvRef, host: string | null, rollout: Rollout | null = null): void {
  const spec = fakeSealedSpec(new Uint8Array(1), { env });
  const phase = "serving" as const;
  const name = vmName("hello-v2-1");
  const record: AppRecord = {
    format: 1,
    app: appName("hello"),
    deleted: false,
    hostnames: [],
    releases: [{ number: 2, specHash: "x", spec, vmsNamed: 1, submittedAtMs: 1 }],
    current: 2,
    lastRelease: 2,
    vms: host === null ? [] : [{ vm: name, release: 2, host: memberName(host), phase, requires: null }],
    rollout,
  };
  apps = [{ epoch: 1, record }];
}

function deploying(): Rollout {
  const { cutover: _cutover, stalled: _stalled, ...rollout } = fakeRollout();
  return { ...rollout, step: null, targets: [] } as Rollout;
}

describe("Envs", () => {
  it("give it to the host that a record gives a VM of its release, from whoever holds it", async () => {
    const [one, two, three] = [await joined("host-1"), await joined("host-2"), await joined("host-3")];
    const ref = await sealed(one);
    commit(ref, "host-2");
    expect(await two.envs.fetch(ref, never)).toEqual({ ok: true, value: null });
    expect(await two.envs.read(ref)).toEqual({ ok: true, value: values });
    // The host where it was submitted is gone, and a VM is placed on a third.
    await one.mesh.stop();
    commit(ref, "host-3");
    expect(await three.envs.fetch(ref, never)).toEqual({ ok: true, value: null });
    expect(await three.envs.read(ref)).toEqual({ ok: true, value: values });
  });

  it.each([
    ["a host without a VM of it", "host-3", "host"],
    ["a proxy, whatever its name", "host-2", "proxy"],
  ] as const)("refuse it to %s, and count that", async (_what, name, role) => {
    const one = await joined("host-1");
    const ref = await sealed(one);
    commit(ref, "host-2");
    const other = await joined(name, role);
    const refused = await other.envs.fetch(ref, never);
    expect(refused).toMatchObject({ ok: false, error: expect.stringContaining("no record gives you a VM") });
    expect((await other.envs.read(ref)).ok).toBe(false);
    expect(one.envs.metrics()).toEqual(["grapevine_env_served_total 0", "grapevine_env_refused_total 1"]);
  });

  it("say who had it when all that hold it are gone", async () => {
    const [one, two] = [await joined("host-1"), await joined("host-2")];
    const ref = await sealed(one);
    commit(ref, "host-2");
    await one.mesh.stop();
    expect(await two.envs.fetch(ref, never)).toEqual({
      ok: false,
      error: "it was submitted at host-1, and nobody gives it: host-1: not connected",
    });
  });

  it("are on disk for their own user alone, under a hash that the same values do not have again", async () => {
    const one = await joined("host-1");
    const [first, second] = [await sealed(one), await sealed(one)];
    expect(first.hash).not.toBe(second.hash);
    const file = join(root, "host-1", `${first.hash}.env`);
    expect((await stat(file)).mode & 0o777).toBe(0o600);
    expect((await stat(join(root, "host-1"))).mode & 0o777).toBe(0o700);
    expect(await one.envs.seal({})).toEqual({ ok: true, value: undefined });
  });

  it("remove what a disk damaged, so that it is fetched anew", async () => {
    const [one, two] = [await joined("host-1"), await joined("host-2")];
    const ref = await sealed(one);
    commit(ref, "host-2");
    await two.envs.fetch(ref, never);
    const file = join(root, "host-2", `${ref.hash}.env`);
    const bytes = await readFile(file);
    await writeFile(file, bytes.with(-1, 0));
    expect(await two.envs.read(ref)).toEqual({ ok: false, error: "it is damaged" });
    await two.envs.fetch(ref, never);
    expect(await two.envs.read(ref)).toEqual({ ok: true, value: values });
  });

  it("are removed once no record names them, and were not put aside just now", async () => {
    const one = await joined("host-1");
    const [named, left] = [await sealed(one), await sealed(one)];
    expect(await one.envs.removeUnused(new Set([named.hash]))).toBe(0);
    nowMs += 11 * 60 * 1000;
    expect(await one.envs.removeUnused(new Set([named.hash]))).toBe(1);
    expect((await one.envs.read(named)).ok).toBe(true);
    expect((await one.envs.read(left)).ok).toBe(false);
  });

  it("are compared by who holds them, while their deploy runs, without a value on the way", async () => {
    const [one, two] = [await joined("host-1"), await joined("host-2")];
    const ref = await sealed(one);
    commit(ref, null, deploying());
    expect(await one.envs.isSame(ref, { ...values }, never)).toBe(true);
    const { USER, PASSWORD } = values;
    expect(await two.envs.isSame(ref, { USER, PASSWORD }, never)).toBe(true);
    expect(await two.envs.isSame(ref, { ...values, PASSWORD: "hunter3" }, never)).toBe(false);
    expect((await two.envs.read(ref)).ok).toBe(false);
    await one.mesh.stop();
    expect(await two.envs.isSame(ref, values, never)).toBe(null);
  });

  it("are compared with nobody whom no record names, whoever says that it holds them", async () => {
    const [one, two] = [await joined("host-1"), await joined("host-2")];
    const asked: string[] = [];
    const liar = hub.join({ name: "host-3", role: "host" });
    liar.announce();
    liar.handle("env-same", async function* (_request, from) {
      asked.push(from);
      yield encodeRecord({ format: 1, equal: true });
    });
    const ref = await sealed(one);
    commit(ref, null, deploying());
    const forged = { ...ref, host: memberName("host-3") };
    expect(await two.envs.isSame(forged, { ...values, USER: "eve" }, never)).toBe(false);
    expect(asked).toEqual([]);
  });

  it("are not compared for a proxy, without a deploy that runs, nor more often than people submit", async () => {
    const [one, two] = [await joined("host-1"), await joined("host-2")];
    const proxy = await joined("proxy-1", "proxy");
    const ref = await sealed(one);
    const bytes = new Uint8Array(32);
    const request = encodeRecord({ format: 1, hash: ref.hash, nonce: bytes, mark: bytes });
    const ask = (by: Member) =>
      by.mesh.call(one.mesh.self.owner, "env-same", request, never)[Symbol.asyncIterator]().next();
    commit(ref, "host-2");
    await expect(ask(two)).rejects.toMatchObject({ message: "refused" });
    commit(ref, "host-2", deploying());
    await expect(ask(proxy)).rejects.toMatchObject({ message: "refused" });
    await ask(two);
    await expect(ask(two)).rejects.toMatchObject({ message: "refused" });
  });
});
