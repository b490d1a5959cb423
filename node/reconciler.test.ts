import { pino } from "pino";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { appKey, appName, encodeRecord, type Mesh, Registers } from "../mesh/index.ts";
import { MemoryHub } from "../mesh/sim/memory-mesh.ts";
import { STAND_IN_CLUSTER, StandInVoter } from "../mesh/sim/stand-in-voter.ts";
import { Reconciler, type ReconcilerDeps } from "./reconciler.ts";
import type { WantedVm } from "./vms/vm-host.ts";

let mesh: Mesh;
let asked: { readonly wanted: readonly WantedVm[]; readonly keeps: (app: string) => boolean }[];
let reconciler: Reconciler;
let voter: StandInVoter;
/** Resolves at the next time that the VMs are reconciled. */
let next: () => Promise<void>;

beforeEach(() => {
  mesh = new MemoryHub().join({ name: "host-1", role: "host" });
  asked = [];
  let wake = () => {};
  next = () => new Promise((resolve) => (wake = resolve));
  const vmHost: ReconcilerDeps["vmHost"] = {
    reconcile: (wanted, isUnknown = () => false) => {
      asked.push({ wanted, keeps: (app) => isUnknown(appName(app)) });
      wake();
    },
  };
  voter = new StandInVoter(mesh);
  const registers = new Registers({ cluster: STAND_IN_CLUSTER }, { mesh, logger: pino({ level: "silent" }) });
  registers.start();
  voter.publishList();
  const deps = { mesh, desired: registers.apps, voters: registers.directory, vmHost };
  const logger = { info: () => undefined, error: () => undefined };
  reconciler = new Reconciler({ ...deps, bundles: { removeUnused: async () => [] }, logger });
});
afterEach(async () => {
  await reconciler.stop();
  await mesh.stop();
});

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

  it("takes a record that it cannot read for an app of which it knows nothing, not for one that wants nothing", async () => {
    const later = encodeRecord({ format: 2, what: "of a later release" });
    mesh.write("app/hello", voter.certify("app/hello", 7, later));
    mesh.write("app/other", encodeRecord({ format: 2, what: "certified by nobody" }));
    const reconciled = next();
    reconciler.start();
    await reconciled;
    expect(asked.map(({ wanted }) => wanted)).toEqual([[]]);
    expect(asked[0]?.keeps("hello")).toBe(true);
    expect(asked[0]?.keeps("other")).toBe(false);
  });
});
