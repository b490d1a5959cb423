import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { appKey, appName, encodeRecord, type Mesh, memberName } from "../mesh/index.ts";
import { MemoryHub } from "../mesh/sim/memory-mesh.ts";
import { DesiredRecords } from "./desired.ts";
import { Reconciler, type ReconcilerDeps } from "./reconciler.ts";
import type { WantedVm } from "./vms/vm-host.ts";

const VOTERS = [memberName("host-1")];

let mesh: Mesh;
let asked: { readonly wanted: readonly WantedVm[]; readonly keeps: (app: string) => boolean }[];
let reconciler: Reconciler;
let errors: unknown[];
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
  const deps = { mesh, desired: new DesiredRecords(mesh, VOTERS), vmHost };
  errors = [];
  const logger = { info: () => undefined, error: (fields: unknown) => errors.push(fields) };
  reconciler = new Reconciler(VOTERS, { ...deps, bundles: { removeUnused: async () => [] }, logger });
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
    mesh.write(appKey(appName("hello")), encodeRecord({ format: 2, epoch: 7, record: "of a later release" }));
    const reconciled = next();
    reconciler.start();
    await reconciled;
    expect(asked.map(({ wanted }) => wanted)).toEqual([[]]);
    expect(asked[0]?.keeps("hello")).toBe(true);
    expect(asked[0]?.keeps("other")).toBe(false);
    expect(errors).toEqual([{ key: "app/hello" }]);
  });
});
