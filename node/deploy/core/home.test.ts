import { beforeEach, describe, expect, it } from "vitest";
import { claimedNames, memberName, vmName } from "../../../mesh/index.ts";
import { specOf } from "../testing/specs.ts";
import { HEALTHY, PREPARED } from "../testing/vm-states.ts";
import { World } from "../testing/world.ts";
import { stayOf } from "./drain.ts";
import { withDataRemoved, withoutVainHome } from "./home.ts";
import { submitMove } from "./move.ts";
import { submitAbort, submitDestroy } from "./submit.ts";

const deploy = { strategy: "handoff", drainTimeoutMs: 30_000, waitTimeoutMs: 60_000 } as const;
const volumes = [{ name: "data", path: "data" }];
const spec = (greeting: string) =>
  specOf("hello", { deploy, volumes, command: ["node", "server.js", "healthy", greeting] });

let world: World;
beforeEach(() => {
  world = new World({ hosts: 3, proxies: 1, isGated: true });
  world.submit(spec("1"), "1");
  world.cooperate();
});

const record = () => {
  if (world.committed === null) throw new Error("nothing is committed");
  return world.committed.record;
};

describe("an app with a volume", () => {
  it("has a home from its first VM on, and its volume is the app's alone", () => {
    const host = record().vms[0]?.host;
    expect(record().home).toEqual({ host, made: ["data"] });
    expect(claimedNames(record())).toEqual(["hostname/hello.localhost", "volume/hello.data"]);
  });

  it("stays where it is, whatever is lost or drained", () => {
    const host = record().home?.host ?? memberName("none");
    world.hostDies(host);
    world.pass(61_000);
    world.fence(host);
    world.pass(61_000);
    expect(record().vms.map((vm) => [vm.vm, vm.host])).toEqual([["hello-v1-1", host]]);
    world.hostBack(host, { isNew: true });
    world.submit(spec("2"), "2");
    world.say(vmName("hello-v2-1"), PREPARED);
    world.cooperate();
    world.say(vmName("hello-v2-1"), HEALTHY);
    expect(record().vms.map((vm) => [vm.vm, vm.host])).toEqual([["hello-v2-1", host]]);
  });

  it("is not moved off a host that is drained, which says what to do", () => {
    const { committed } = world;
    const host = record().home?.host ?? memberName("none");
    const context = world.machine.context(world.nowMs);
    const hosts = new Map(context.facts.hosts);
    const fact = hosts.get(host);
    if (committed === null || fact === undefined) throw new Error("it runs nowhere");
    hosts.set(host, { ...fact, cordoned: true, draining: true });
    const drained = { ...context, facts: { ...context.facts, hosts } };
    expect(stayOf(committed, host, drained)).toMatchObject({
      state: "stuck",
      why: `cannot move: its data is on ${host}, in volumes/hello of its state folder`,
      advice: expect.stringMatching(/shut .* down .*waits for it.*destroy hello --remove-data/),
    });
    const moved = submitMove(committed, { app: record().app, host }, drained);
    expect(moved).toMatchObject({ code: "invalid", message: expect.stringContaining("its data is on") });
  });

  it("says that it waits for its host, also once that is fenced", () => {
    const host = record().home?.host ?? memberName("none");
    world.hostDies(host);
    const reasons = () => world.machine.view(world.nowMs)?.vms.map(({ reason }) => reason);
    expect(reasons()).toEqual([expect.stringMatching(/the app's data is there: bring host-\d back/)]);
    world.pass(61_000);
    world.fence(host);
    world.pass(61_000);
    expect(reasons()).toEqual([expect.stringMatching(/the app's data is there: bring host-\d back/)]);
  });

  it.each([
    [false, /^its data is kept on host-1, in volumes\/hello of its state folder; a later deploy/],
    [true, /^its data is removed on host-1/],
  ])("keeps its data when it is destroyed, unless told else: %s", (removesData, said) => {
    const host = record().home?.host;
    const destroyed = world.ask((at, context) => submitDestroy(at, record().app, context, removesData));
    expect(destroyed).toMatchObject({ code: "begin", note: expect.stringMatching(said) });
    world.cooperate();
    expect(record()).toMatchObject({ deleted: true, home: { host, made: ["data"] } });
    expect(record().home?.isRemoved === true).toBe(removesData);
    expect(claimedNames(record())).toEqual(removesData ? [] : ["volume/hello.data"]);
    world.submit(spec("2"), "2");
    world.cooperate();
    expect(record().vms).toHaveLength(1);
    expect(record().home?.isRemoved).toBeUndefined();
  });

  it("keeps its home and its data after a destroy with its data that went back", () => {
    const { home } = record();
    const wentBack = withDataRemoved(record(), true);
    expect(wentBack).toMatchObject({ deleted: false, home: { isRemoved: true } });
    expect(withoutVainHome(wentBack).home).toEqual(home);
    expect(withDataRemoved(wentBack, false).home).toEqual(home);
    expect(withoutVainHome({ ...wentBack, deleted: true }).home).toBeUndefined();
  });

  it("has no more volumes over its releases than are remembered", () => {
    const many = (release: number) =>
      specOf("hello", {
        deploy,
        volumes: Array.from({ length: 8 }, (_, index) => ({
          name: `r${release}-${index}`,
          path: `p${index}`,
        })),
      });
    for (const release of [2, 3, 4]) {
      world.submit(many(release), String(release));
      world.cooperate();
    }
    expect(record().home?.made).toHaveLength(25);
    const refused = world.submit(many(5), "5");
    expect(refused).toMatchObject({
      code: "invalid",
      message: expect.stringMatching(/33 volumes .* keeps 32/),
    });
  });

  it("goes anywhere while none of its releases ever served", () => {
    world = new World({ hosts: 3, proxies: 1, isGated: true });
    world.submit(spec("1"), "1");
    const host = record().vms[0]?.host ?? memberName("none");
    expect(record().home).toEqual({ host, made: [] });
    world.ask((at, context) => submitAbort(at, record().app, context));
    world.cooperate();
    expect(record()).toMatchObject({ vms: [], current: null });
    world.hostDies(host);
    world.submit(spec("2"), "2");
    world.cooperate();
    const [next] = record().vms;
    expect(next?.host).not.toBe(host);
    expect(record().home).toEqual({ host: next?.host, made: ["data"] });
  });
});
