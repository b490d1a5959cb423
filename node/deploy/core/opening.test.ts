import { expect, test } from "vitest";
import { type DeploySpec, memberName, vmName } from "../../../mesh/index.ts";
import { ENDED, recordOf } from "../testing/sleeping.ts";
import { specOf } from "../testing/specs.ts";
import { HEALTHY, PREPARED } from "../testing/vm-states.ts";
import { World } from "../testing/world.ts";

const HANDOFF: DeploySpec = { strategy: "handoff", drainTimeoutMs: 30_000, waitTimeoutMs: 60_000 };
const SILENT = memberName("proxy-2");

function answer(world: World): void {
  for (const host of world.hosts) world.closeGate(host);
  for (const proxy of world.proxies.keys()) {
    if (world.silent.has(proxy)) continue;
    world.apply(proxy);
    world.answer(proxy);
    world.deliver(proxy);
  }
}

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
  answer(world);
  world.gone(vmName("hello-v1-1"));
  expect(phasesOf(world)).toEqual(["hello-v2-1 opening"]);
  world.pass(61_000);
  expect(phasesOf(world)).toEqual(["hello-v2-1 cordoned"]);
  answer(world);
  expect(phasesOf(world)).toEqual(["hello-v1-2 opening"]);
  world.gone(vmName("hello-v2-1"));
  world.say(vmName("hello-v1-2"), HEALTHY);
  answer(world);
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
  answer(world);
  expect(phasesOf(world)).toEqual(["hello-v2-1 opening", "hello-v2-2 opening"]);
  expect(world.holdByPerson("hold")).toBe(true);
  world.gone(vmName("hello-v1-1"));
  world.say(vmName("hello-v2-2"), HEALTHY);
  world.say(vmName("hello-v2-1"), ENDED);
  expect(phasesOf(world)).toContain("hello-v2-2 cordoned");
  for (let round = 0; round < 3; round += 1) answer(world);
  expect(phasesOf(world)).toEqual([]);
});
