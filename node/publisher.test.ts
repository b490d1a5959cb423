import { describe, expect, it } from "vitest";
import {
  appName,
  decodeRecord,
  hostEntryShape,
  hostKey,
  memberName,
  type VmEntry,
  vmEntryShape,
  vmKey,
  vmName,
} from "../mesh/index.ts";
import { MemoryHub } from "../mesh/sim/memory-mesh.ts";
import { Publisher } from "./publisher.ts";

const vm = vmName("hello-v1-1");
const entry: VmEntry = {
  format: 1,
  vm,
  app: appName("hello"),
  release: 1,
  host: memberName("host-1"),
  state: "running",
  health: "healthy",
  address: { host: "127.0.0.1", port: 20_001 },
  exit: null,
  reason: null,
  lastLines: [],
  restarts: 0,
  startedAtMs: 1,
  healthyAtMs: 2,
};

describe("Publisher", () => {
  it("writes a VM's entry so that its shape reads it back, and deletes it", () => {
    const mesh = new MemoryHub().join({ name: "host-1", role: "host" });
    const publisher = new Publisher({ mesh });
    publisher.publishVm(vm, entry);
    const value = mesh.store.get(mesh.self.owner, vmKey(vm))?.value;
    expect(decodeRecord(vmEntryShape, value!)).toEqual({ ok: true, value: entry });
    publisher.publishVm(vm, null);
    expect(mesh.store.get(mesh.self.owner, vmKey(vm))).toBeUndefined();
  });

  it("changes no version when the same entry is published again", () => {
    const mesh = new MemoryHub().join({ name: "host-1", role: "host" });
    const publisher = new Publisher({ mesh });
    publisher.publishVm(vm, entry);
    const head = mesh.store.head(mesh.self.owner);
    publisher.publishVm(vm, { ...entry });
    expect(mesh.store.head(mesh.self.owner)).toEqual(head);
  });

  it("writes what the host says of itself", () => {
    const mesh = new MemoryHub().join({ name: "host-1", role: "host" });
    const host = {
      format: 1 as const,
      host: memberName("host-1"),
      region: "",
      labels: {},
      api: "",
      pid: 1,
      voter: true,
    };
    new Publisher({ mesh }).publishHost(host);
    const value = mesh.store.get(mesh.self.owner, hostKey(host.host))?.value;
    expect(decodeRecord(hostEntryShape, value!)).toEqual({ ok: true, value: host });
  });
});
