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
  it("says that there is no host when none is open", () => {
    const hosts = [host("a", 0, false)];
    expect(place({ vms: [], release: 1, hosts, count: 1 })).toMatchObject({ code: "no-host" });
  });
});
