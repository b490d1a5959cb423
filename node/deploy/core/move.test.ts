import { beforeEach, describe, expect, it } from "vitest";
import { appName, type CommittedApp, memberName } from "../../../mesh/index.ts";
import { specOf } from "../testing/specs.ts";
import { World } from "../testing/world.ts";
import type { CommitContext } from "./commits.ts";
import { stayOf } from "./drain.ts";
import type { HostFact } from "./facts.ts";
import { submitMove } from "./move.ts";

const HELLO = appName("hello");
const HOST = memberName("host-1");
let world: World;
beforeEach(() => {
  world = new World({ hosts: 4, proxies: 1 });
});

/** With what a world does not tell of its hosts; `host-1` is drained. */
function contextWith(facts: Readonly<Record<string, Partial<HostFact>>>): CommitContext {
  const context = world.machine.context(world.nowMs);
  const hosts = [...context.facts.hosts].map(([name, host]) => {
    const use = name === HOST ? { cordoned: true, draining: true } : {};
    return [name, { ...host, ...use, ...facts[name] }] as const;
  });
  return { ...context, facts: { ...context.facts, hosts: new Map(hosts) } };
}

function deployed(count: number, strategy: "rolling" | "immediate" = "rolling"): CommittedApp {
  const deploy = { ...specOf("hello").deploy, strategy };
  world.submit(specOf("hello", { count, deploy }), "1");
  world.cooperate();
  if (world.committed === null) throw new Error("nothing was deployed");
  return world.committed;
}

describe("a move", () => {
  it("has a VM start in the region that it leaves, if there is another host there", () => {
    const committed = deployed(2);
    expect(committed.record.vms.map(({ host }) => host)).toEqual(["host-1", "host-2"]);
    // By name host-3 would come first.
    const regions = {
      "host-1": { region: "eu" },
      "host-4": { region: "eu" },
      "host-2": { region: "us" },
      "host-3": { region: "us" },
    };
    const moved = submitMove(committed, { app: HELLO, host: HOST }, contextWith(regions));
    const record = moved.code === "begin" ? moved.record : null;
    expect(record?.vms.find(({ phase }) => phase === "starting")).toMatchObject({ host: "host-4" });
  });

  it("takes as many VMs as find room elsewhere, and leaves the rest for the next one", () => {
    for (const name of ["host-2", "host-3", "host-4"]) world.draining.add(memberName(name));
    world.membersChanged();
    const committed = deployed(3, "immediate");
    world.draining.clear();
    world.membersChanged();
    const full = { capacity: 0 };
    const context = contextWith({ "host-2": { capacity: 2 }, "host-3": full, "host-4": full });
    expect(stayOf(committed, HOST, context)).toMatchObject({ state: "due" });
    const moved = submitMove(committed, { app: HELLO, host: HOST }, context);
    const record = moved.code === "begin" ? moved.record : null;
    expect(record?.rollout).toMatchObject({ targets: ["hello-v1-1", "hello-v1-2"], count: 3 });
    expect(record?.vms.filter(({ phase }) => phase === "starting").map(({ host }) => host)).toEqual([
      "host-2",
      "host-2",
    ]);
  });
});
