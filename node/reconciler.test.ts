import { pino } from "pino";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import {
  type AppRecord,
  appKey,
  appName,
  bundleHash,
  encodeRecord,
  encodeRegisterReadAnswer,
  type Mesh,
  memberName,
  REGISTER_READ_SERVICE,
  Registers,
  type Rollout,
  type VmName,
  vmName,
} from "../mesh/index.ts";
import { MemoryHub } from "../mesh/sim/memory-mesh.ts";
import { STAND_IN_CLUSTER, StandInVoter } from "../mesh/sim/stand-in-voter.ts";
import { specOf } from "./deploy/testing/specs.ts";
import { Reconciler, type ReconcilerDeps } from "./reconciler.ts";
import type { SpareNeeds } from "./releases/spares.ts";
import type { WantedVm } from "./vms/vm-host.ts";

let mesh: Mesh;
let logged: (reason: string) => void;
let asked: { readonly wanted: readonly WantedVm[]; readonly keeps: (app: string) => boolean }[];
let running: readonly VmName[];
let kept: SpareNeeds[];
let reconciler: Reconciler;
let voter: StandInVoter;
/** What the voter, which is this host, has read at a majority. */
let committed: Parameters<typeof encodeRegisterReadAnswer>[0];
/** Resolves at the next time that the VMs are reconciled. */
let next: () => Promise<void>;

beforeEach(() => {
  mesh = new MemoryHub().join({ name: "host-1", role: "host" });
  asked = [];
  committed = [];
  mesh.handle(REGISTER_READ_SERVICE, async function* () {
    yield encodeRegisterReadAnswer(committed);
  });
  let wake = () => {};
  next = () => new Promise((resolve) => (wake = resolve));
  const vmHost: ReconcilerDeps["vmHost"] = {
    reconcile: (wanted, isUnknown = () => false) => {
      asked.push({ wanted, keeps: (app) => isUnknown(appName(app)) });
      wake();
    },
    namesOf: () => running,
    removeVolumes: async () => undefined,
  };
  voter = new StandInVoter(mesh);
  const registers = new Registers({ cluster: STAND_IN_CLUSTER }, { mesh, logger: pino({ level: "silent" }) });
  registers.start();
  voter.publishList();
  logged = () => undefined;
  const debug = (fields: object) => logged(String((fields as { reason?: unknown }).reason));
  const logger = { debug, info: () => undefined, error: () => undefined };
  const bundles = { removeUnused: async () => [] };
  const envs = { removeUnused: async () => 0 };
  kept = [];
  const spares = { keep: (needs: SpareNeeds) => void kept.push(needs) };
  running = [];
  const onAlone = () => wake();
  reconciler = new Reconciler({ mesh, registers, vmHost, onAlone, bundles, envs, spares, logger });
});
afterEach(async () => {
  await reconciler.stop();
  await mesh.stop();
});

function wantsVm(app: string, vm: string): AppRecord {
  const spec = specOf(app);
  return {
    format: 1,
    app: appName(app),
    deleted: false,
    hostnames: spec.hostnames,
    releases: [{ number: 1, specHash: "a".repeat(64), spec, vmsNamed: 1, submittedAtMs: 0 }],
    current: 1,
    lastRelease: 1,
    vms: [{ vm: vmName(vm), release: 1, host: mesh.self.name, phase: "serving", requires: null }],
    rollout: null,
  };
}

const WAKE: Rollout = {
  id: "waking-v1-e1",
  kind: "wake",
  from: 1,
  to: 1,
  state: "running",
  direction: "forward",
  driver: memberName("host-1"),
  step: null,
  history: [],
  reason: null,
  targets: [],
  count: 1,
  startedAtMs: 0,
  endedAtMs: null,
};

describe("Reconciler", () => {
  it("leaves nothing behind when it is stopped before the records are held", async () => {
    const timers = () => process.getActiveResourcesInfo().filter((resource) => resource === "Timeout").length;
    const before = timers();
    reconciler.start();
    await reconciler.stop();
    expect(timers()).toBe(before);
    expect(asked).toEqual([]);
    mesh.write(appKey(appName("hello")), encodeRecord({}));
    expect(asked).toEqual([]);
  });

  it("wants what a majority has, though gossip told nothing of it: a VM that serves is not stopped", async () => {
    const record = wantsVm("hello", "hello-v1-1");
    committed = [{ key: appKey(record.app), value: voter.certified(4, record) }];
    const reconciled = next();
    reconciler.start();
    await reconciled;
    expect(asked.map(({ wanted }) => wanted.map(({ vm, phase }) => `${vm} ${phase}`))).toEqual([
      ["hello-v1-1 serving"],
    ]);
  });

  it("does not begin with an answer that it cannot read", async () => {
    committed = [{ key: "app/hello", value: new Uint8Array([1, 2, 3]) }];
    const told = Promise.withResolvers<string>();
    logged = (reason) => told.resolve(reason);
    reconciler.start();
    expect(await told.promise).toMatch(/^its record app\/hello cannot be read/);
    expect(asked).toEqual([]);
  });

  it("takes a record that it cannot read for an app of which it knows nothing, not for one that wants nothing", async () => {
    const later = encodeRecord({ format: 2, what: "of a later release" });
    committed = [{ key: "app/hello", value: voter.certify("app/hello", 7, later) }];
    mesh.write("app/other", encodeRecord({ format: 2, what: "certified by nobody" }));
    const reconciled = next();
    reconciler.start();
    await reconciled;
    expect(asked.map(({ wanted }) => wanted)).toEqual([[]]);
    expect(asked[0]?.keeps("hello")).toBe(true);
    expect(asked[0]?.keeps("other")).toBe(false);
  });

  it("has the files of a release ready while its app sleeps, and leaves them there while it wakes", async () => {
    const hash = { asleep: "1", waking: "2", awake: "3", elsewhere: "4" };
    const records = (["asleep", "waking", "awake", "elsewhere"] as const).map((app): AppRecord => {
      const record = wantsVm(app, `${app}-v1-1`);
      const bundle = { hash: bundleHash(hash[app].repeat(64)), bytes: 1 };
      const releases = record.releases.map((release) => ({ ...release, spec: specOf(app, { bundle }) }));
      if (app === "awake") return { ...record, releases };
      const rollout = app === "waking" ? WAKE : null;
      const ranOn = app === "elsewhere" ? { ranOn: [memberName("host-2")] } : {};
      return { ...record, releases, rollout, vms: [], hold: { by: "idle", atMs: 0, ...ranOn } };
    });
    committed = records.map((record) => ({ key: appKey(record.app), value: voter.certified(1, record) }));
    const reconciled = next();
    reconciler.start();
    await reconciled;
    const [asleep, waking] = records.map(({ releases }) => releases[0]?.spec.bundle.hash);
    expect(kept.at(-1)).toEqual({ asleep: new Set([asleep]), waking: new Set([asleep, waking]) });
  });

  it("confirms of an app of which something may run here still by which record it goes, and what is here", async () => {
    const record = wantsVm("hello", "hello-v1-2");
    const mayRun = [{ host: mesh.self.name, epoch: 4, vms: [vmName("hello-v1-1")] }];
    committed = [{ key: appKey(record.app), value: voter.certified(4, { ...record, mayRun }) }];
    expect(reconciler.alone).toEqual([]);
    running = [vmName("hello-v1-1")];
    reconciler.start();
    await next();
    await next();
    expect(reconciler.alone).toEqual([{ app: "hello", epoch: 4, vms: ["hello-v1-1"] }]);
    running = [];
    const said = next();
    reconciler.vmsChanged();
    await said;
    expect(reconciler.alone).toEqual([{ app: "hello", epoch: 4, vms: [] }]);
  });
});
