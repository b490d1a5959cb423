import { describe, expect, it } from "vitest";
import { type DesiredVm, memberName, vmName } from "../../../mesh/index.ts";
import { place } from "./place.ts";

function host(
  name: string,
  vms = 0,
  open = true,
): { host: ReturnType<typeof memberName>; open: boolean; vms: number } {
  return { host: memberName(name), open, vms };
}

function vm(name: string, on: string, release = 1): DesiredVm {
  return { vm: vmName(name), release, host: memberName(on), phase: "serving", requires: null };
}

function hostsOf(result: ReturnType<typeof place>): readonly string[] {
  return result.code === "placed" ? result.placements.map((placement) => placement.host) : [];
}

describe("place()", () => {
  it("spreads the VMs of a release, whatever order the hosts come in", () => {
    const hosts = [host("c"), host("a"), host("b")];
    expect(hostsOf(place({ vms: [], release: 1, hosts, count: 4 }))).toEqual(["a", "b", "c", "a"]);
    expect(hostsOf(place({ vms: [], release: 1, hosts: hosts.reverse(), count: 4 }))).toEqual([
      "a",
      "b",
      "c",
      "a",
    ]);
  });
  it("takes the host without the app before the one with fewer VMs of others", () => {
    const hosts = [host("a", 1), host("b", 9)];
    expect(hostsOf(place({ vms: [vm("x", "a")], release: 2, hosts, count: 1 }))).toEqual(["b"]);
  });
  it("wakes an app where it ran before, if it can run there", () => {
    const ranOn = [memberName("b"), memberName("d")];
    const hosts = [host("a"), host("b", 9, false), host("c"), host("d", 9)];
    expect(hostsOf(place({ vms: [], release: 1, hosts, count: 2, ranOn }))).toEqual(["d", "a"]);
  });
  it("breaks a tie by the VMs of all apps", () => {
    expect(hostsOf(place({ vms: [], release: 1, hosts: [host("a", 3), host("b", 2)], count: 1 }))).toEqual([
      "b",
    ]);
  });
  it("does not count old VMs against where the new ones of a release go", () => {
    const vms = [vm("x", "b", 1), vm("y", "c", 1), vm("z", "a", 2)];
    expect(hostsOf(place({ vms, release: 2, hosts: [host("a"), host("b"), host("c")], count: 1 }))).toEqual([
      "b",
    ]);
  });
  it("spreads over regions first, and says why it chose", () => {
    const hosts = [
      { ...host("a"), region: "eu" },
      { ...host("b"), region: "eu" },
      { ...host("c", 9), region: "us" },
    ];
    const placed = place({ vms: [vm("x", "a", 2)], release: 2, hosts, count: 3 });
    expect(hostsOf(placed)).toEqual(["c", "b", "c"]);
    expect(placed).toMatchObject({
      placements: [
        { reason: "0 VMs of v2 there and 0 in region us, 0 of the app, 9 of all" },
        { reason: "0 VMs of v2 there and 1 in region eu, 0 of the app, 0 of all" },
        { reason: "1 VMs of v2 there and 1 in region us, 1 of the app, 10 of all" },
      ],
    });
  });
  it("places nothing on hosts that are cordoned, full or away, and says so of each when none is left", () => {
    const hosts = [
      { ...host("a"), cordoned: true },
      { ...host("b", 4), capacity: 5 },
      { ...host("c", 0, false) },
    ];
    expect(hostsOf(place({ vms: [], release: 1, hosts, count: 1 }))).toEqual(["b"]);
    expect(place({ vms: [], release: 1, hosts, count: 2 })).toEqual({
      code: "no-host",
      message: "there is room for 1 of 2 VMs: a is cordoned; b is full (5 of 5 VMs); c is not connected",
    });
  });
  it("says that there is no host when none is open", () => {
    const hosts = [host("a", 0, false)];
    const message = "no host can run a VM: a is not connected";
    expect(place({ vms: [], release: 1, hosts, count: 1 })).toEqual({ code: "no-host", message });
    expect(place({ vms: [], release: 1, hosts: [], count: 1 })).toEqual({
      code: "no-host",
      message: "no host is connected to run a VM on",
    });
  });
});
