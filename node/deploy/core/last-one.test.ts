import { expect, test } from "vitest";
import { type DeploySpec, vmName } from "../../../mesh/index.ts";
import { answerAll } from "../testing/answer-all.ts";
import { specOf } from "../testing/specs.ts";
import { HEALTHY } from "../testing/vm-states.ts";
import { World } from "../testing/world.ts";

const HANDOFF: DeploySpec = { strategy: "handoff", drainTimeoutMs: 30_000, waitTimeoutMs: 60_000 };
const [OLD, NEW, NEXT] = ["hello-v1-1", "hello-v2-1", "hello-v1-2"].map(vmName) as [
  ReturnType<typeof vmName>,
  ReturnType<typeof vmName>,
  ReturnType<typeof vmName>,
];

test("an app that never runs twice is left with one VM, whose host starts it when it is back, also where nobody could say that the last one ended", () => {
  const world = new World({ hosts: 2, proxies: 1, isGated: true });
  world.submit(specOf("hello", { deploy: HANDOFF }), "1");
  world.say(OLD, HEALTHY);
  answerAll(world);
  answerAll(world);
  expect(world.committed?.record.rollout?.state).toBe("succeeded");
  const host = world.committed?.record.vms[0]?.host;
  if (host === undefined) throw new Error("it runs somewhere");
  world.submit(specOf("hello", { deploy: HANDOFF, command: ["node", "2"] }), "2");
  world.say(NEW, { state: "prepared" });
  answerAll(world);
  expect(world.committed?.record.rollout?.step?.kind).toBe("handover");
  world.hostDies(host);
  for (let minute = 0; minute < 5; minute += 1) world.pass(61_000);
  expect(world.committed?.record).toMatchObject({
    rollout: { state: "failed" },
    vms: [{ vm: NEXT, host, release: 1, phase: "serving" }],
  });
  expect(world.committed?.record.hold).toBeUndefined();
});

test("what a repair of it closed serves again where that comes to no end: nothing else would", () => {
  const world = new World({ hosts: 2, proxies: 1, isGated: true });
  world.submit(specOf("hello", { deploy: HANDOFF }), "1");
  world.say(OLD, HEALTHY);
  answerAll(world);
  answerAll(world);
  const host = world.committed?.record.vms[0]?.host;
  if (host === undefined) throw new Error("it runs somewhere");
  world.hostDies(host);
  world.fence(host);
  world.pass(1_000);
  expect(world.committed?.record.rollout).toMatchObject({ kind: "repair", step: { kind: "prepare" } });
  // It is heard again, and its gate is not.
  world.hostBack(host, { isNew: false });
  world.say(NEXT, { state: "prepared" });
  expect(world.committed?.record.rollout?.step?.kind).toBe("hold");
  for (let round = 0; round < 4; round += 1) world.pass(16_000);
  expect(world.committed?.record).toMatchObject({
    rollout: { state: "failed" },
    vms: [{ vm: OLD, host, phase: "serving" }],
  });
  expect(world.committed?.record.hold).toBeUndefined();
});
