import { describe, expect, test } from "vitest";
import { APP_VMS_MAX, appName, memberName, vmName } from "../../mesh/index.ts";
import { LEFT_VMS_PER_APP_MAX } from "../limits.ts";
import { appRoute } from "../testing/app-route.ts";
import { Drain } from "./drain.ts";
import { EMPTY_TABLE, type Endpoint, nextTable, type RouteTable } from "./route-table.ts";

const app = appName("hello");

function endpoint(index: number): Endpoint {
  const [vm, host] = [vmName(`hello-v1-${index}`), memberName("host-1")];
  return {
    vm,
    app,
    release: 1,
    host,
    address: { host: "127.0.0.1", port: 1 },
    healthy: true,
    hostAway: false,
    isGated: false,
    drainTimeoutMs: 100,
  };
}

let epoch = 0;
function table(before: RouteTable, ...endpoints: readonly Endpoint[]): RouteTable {
  epoch += 1;
  return nextTable(before, [appRoute({ app, epoch, hostnames: [], endpoints })]);
}

describe("Drain", () => {
  const one = endpoint(1);
  const two = endpoint(2);

  test("counts claims, and drains a VM that left until the last of them is released", () => {
    const drain = new Drain();
    const first = table(EMPTY_TABLE, one, two);
    drain.adopt(first, 1_000);
    drain.claim(one);
    drain.claim(one);
    drain.dispatched(one, 1_010);
    expect(drain.report(app)).toEqual({ inFlight: [], cut: [], lastDispatch: [] });
    drain.adopt(table(first, two), 1_020);
    expect(drain.isRouted(one)).toBe(false);
    expect(drain.draining()).toEqual([{ endpoint: one, requests: 2, deadlineMs: 1_120 }]);
    expect(drain.report(app)).toEqual({
      inFlight: [{ vm: one.vm, requests: 2 }],
      cut: [],
      lastDispatch: [{ vm: one.vm, atMs: 1_010 }],
    });
    expect(drain.release(one)).toBe(false);
    expect(drain.release(one)).toBe(true);
    expect(drain.draining()).toEqual([]);
    expect(drain.report(app).inFlight).toEqual([]);
  });

  test("does not route to the address that a VM had before", () => {
    const drain = new Drain();
    const first = table(EMPTY_TABLE, one);
    drain.adopt(first, 0);
    expect(drain.isRouted(one)).toBe(true);
    drain.adopt(table(first, { ...one, address: { host: "127.0.0.1", port: 2 } }), 0);
    expect(drain.isRouted(one)).toBe(false);
  });

  test("keeps the deadline over later tables, and forgets it when the VM is back", () => {
    const drain = new Drain();
    const first = table(EMPTY_TABLE, one);
    drain.adopt(first, 0);
    drain.claim(one);
    const second = table(first);
    drain.adopt(second, 10);
    const third = table(second, two);
    drain.adopt(third, 50);
    expect(drain.draining()[0]?.deadlineMs).toBe(110);
    const fourth = table(third, one);
    drain.adopt(fourth, 60);
    expect(drain.draining()).toEqual([]);
    expect(drain.inFlight(one.vm)).toBe(1);
    drain.adopt(table(fourth), 70);
    expect(drain.draining()[0]?.deadlineMs).toBe(170);
  });

  test("tells what was cut, also after the VM is forgotten to drain", () => {
    const drain = new Drain();
    const first = table(EMPTY_TABLE, one);
    drain.adopt(first, 0);
    drain.claim(one);
    drain.adopt(table(first), 0);
    drain.recordCut(one);
    expect(drain.release(one)).toBe(true);
    expect(drain.report(app)).toEqual({ inFlight: [], cut: [{ vm: one.vm, requests: 1 }], lastDispatch: [] });
  });

  test("tells of no more VMs than one ack may name, though all of a large app left while busy", () => {
    const drain = new Drain();
    const all = Array.from({ length: 2 * APP_VMS_MAX }, (_, index) => endpoint(index + 1));
    const [before, now] = [all.slice(0, APP_VMS_MAX), all.slice(APP_VMS_MAX)];
    const first = table(EMPTY_TABLE, ...before);
    const second = table(first, ...now);
    for (const [at, endpoints] of [[first, before] as const, [second, now] as const]) {
      drain.adopt(at, 0);
      for (const each of endpoints) {
        drain.claim(each);
        drain.dispatched(each, 1);
        drain.recordCut(each);
      }
      if (at === first) for (const each of endpoints) drain.release(each);
    }
    drain.adopt(table(second), 2);
    const { inFlight, cut, lastDispatch } = drain.report(app);
    const names = now.map(({ vm }) => vm);
    expect(inFlight.map(({ vm }) => vm)).toEqual(names);
    expect(cut.map(({ vm }) => vm)).toEqual(names);
    expect(lastDispatch.map(({ vm }) => vm)).toEqual(names);
  });

  test("remembers a bounded number of VMs that left, and every one that is still busy", () => {
    const drain = new Drain();
    let current = table(EMPTY_TABLE, one);
    drain.adopt(current, 0);
    drain.claim(one);
    for (let index = 2; index < 200; index += 1) {
      current = table(current, endpoint(index));
      drain.adopt(current, index);
      drain.dispatched(endpoint(index), index);
    }
    expect(drain.report(app).lastDispatch.length).toBeLessThanOrEqual(LEFT_VMS_PER_APP_MAX + 1);
    expect(drain.report(app).inFlight).toEqual([{ vm: one.vm, requests: 1 }]);
  });
});
