import { expect, test } from "vitest";
import { type DeploySpec, memberName, vmName } from "../../../mesh/index.ts";
import { answerAll } from "../testing/answer-all.ts";
import { asleep, ENDED, quiet, recordOf, wanted } from "../testing/sleeping.ts";
import { specOf } from "../testing/specs.ts";
import { HEALTHY, PREPARED } from "../testing/vm-states.ts";
import { World } from "../testing/world.ts";

const HANDOFF: DeploySpec = { strategy: "handoff", drainTimeoutMs: 30_000, waitTimeoutMs: 60_000 };
const SILENT = memberName("proxy-2");

function phasesOf(world: World): readonly string[] {
  return recordOf(world).vms.map(({ vm, phase }) => `${vm} ${phase}`);
}

test("one that never came to run is closed by its gate alone: no silent proxy keeps what ran before from running again", () => {
  const world = new World({ hosts: 1, proxies: 2, isGated: true });
  world.submit(specOf("hello", { deploy: HANDOFF }), "1");
  world.cooperate();
  world.silent.add(SILENT);
  world.submit(specOf("hello", { deploy: HANDOFF, command: ["node", "2"] }), "2");
  world.say(vmName("hello-v2-1"), PREPARED);
  answerAll(world);
  world.gone(vmName("hello-v1-1"));
  expect(phasesOf(world)).toEqual(["hello-v2-1 opening"]);
  world.pass(61_000);
  expect(phasesOf(world)).toEqual(["hello-v2-1 cordoned"]);
  answerAll(world);
  expect(phasesOf(world)).toEqual(["hello-v1-2 opening"]);
  world.gone(vmName("hello-v2-1"));
  world.say(vmName("hello-v1-2"), HEALTHY);
  answerAll(world);
  world.pass(61_000);
  expect(phasesOf(world)).toEqual(["hello-v1-2 serving"]);
  expect(recordOf(world).rollout?.state).toBe("rolled-back");
});

test("those of which one fails are closed and retired, also while a person holds the requests that they were to get", () => {
  const world = new World({ hosts: 2, proxies: 1, isGated: true });
  world.submit(specOf("hello", { deploy: HANDOFF }), "1");
  world.say(vmName("hello-v1-1"), HEALTHY);
  for (let round = 0; round < 3; round += 1) world.pass(61_000);
  expect(phasesOf(world)).toEqual(["hello-v1-1 cordoned"]);
  world.submit(specOf("hello", { count: 2 }), "2");
  answerAll(world);
  expect(phasesOf(world)).toEqual(["hello-v2-1 opening", "hello-v2-2 opening"]);
  expect(world.holdByPerson("hold")).toBe(true);
  world.gone(vmName("hello-v1-1"));
  world.say(vmName("hello-v2-2"), HEALTHY);
  world.say(vmName("hello-v2-1"), ENDED);
  expect(phasesOf(world)).toContain("hello-v2-2 cordoned");
  for (let round = 0; round < 3; round += 1) answerAll(world);
  expect(phasesOf(world)).toEqual([]);
});

test.each([undefined, HANDOFF])(
  "one that is woken can be stopped: it is closed first, and no request wakes another one",
  (deploy) => {
    const world = asleep(deploy);
    wanted(world);
    const [woken] = recordOf(world).vms;
    if (woken === undefined) throw new Error("nothing was started");
    world.say(woken.vm, { state: "running", health: "unknown" });
    expect(world.stopVm(woken.vm)).toMatchObject({ code: "begin" });
    expect(phasesOf(world)).toEqual([`${woken.vm} cordoned`]);
    // What waited is told that nothing serves.
    expect(recordOf(world).hold).toBeUndefined();
    answerAll(world);
    expect(phasesOf(world)).toEqual([]);
    world.gone(woken.vm);
    wanted(world);
    world.cooperate();
    expect(recordOf(world)).toMatchObject({ vms: [], rollout: { kind: "stop", state: "succeeded" } });
    expect(recordOf(world).hold).toBeUndefined();
  },
);

test("one of several that are woken can be stopped: the app is woken still", () => {
  const world = new World({ hosts: 2, proxies: 2, isGated: true });
  world.submit(specOf("hello", { count: 2, idle: { afterMs: 5_000 } }), "1");
  world.cooperate();
  world.pass(60_000);
  quiet(world);
  world.cooperate();
  wanted(world);
  const [woken] = recordOf(world).vms;
  if (woken === undefined) throw new Error("nothing was started");
  expect(world.stopVm(woken.vm)).toMatchObject({ code: "begin" });
  expect(recordOf(world).hold).toMatchObject({ by: "idle" });
  world.cooperate();
  wanted(world);
  world.cooperate();
  expect(phasesOf(world).filter((text) => text.endsWith("serving"))).toHaveLength(2);
});

test("several of which one ends on the way back serve, all of them: nothing else is left", () => {
  const world = new World({ hosts: 1, proxies: 1, isGated: true });
  world.submit(specOf("hello", { count: 2 }), "1");
  world.cooperate();
  world.submit(specOf("hello", { deploy: HANDOFF, command: ["node", "2"] }), "2");
  world.say(vmName("hello-v2-1"), PREPARED);
  answerAll(world);
  for (const old of ["hello-v1-1", "hello-v1-2"]) world.gone(vmName(old));
  world.say(vmName("hello-v2-1"), ENDED);
  world.gone(vmName("hello-v2-1"));
  expect(phasesOf(world)).toEqual(["hello-v1-3 opening", "hello-v1-4 opening"]);
  world.say(vmName("hello-v1-3"), HEALTHY);
  world.say(vmName("hello-v1-4"), ENDED);
  expect(phasesOf(world)).toEqual(["hello-v1-3 serving", "hello-v1-4 serving"]);
});
