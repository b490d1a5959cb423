import { expect, test } from "vitest";
import { vmName } from "../../../mesh/index.ts";
import { specOf } from "../testing/specs.ts";
import { HEALTHY } from "../testing/vm-states.ts";
import { World } from "../testing/world.ts";

test("a first launch that is superseded once it serves keeps its requests until what follows it serves", () => {
  const world = new World({ hosts: 2, proxies: 1, isGated: true });
  world.submit(specOf("hello"), "1");
  world.say(vmName("hello-v1-1"), HEALTHY);
  expect(world.committed?.record).toMatchObject({ vms: [{ phase: "serving" }] });
  expect(world.committed?.record.hold).toBeUndefined();
  world.submit(specOf("hello", { command: ["node", "2"] }), "2", true);
  expect(world.committed?.record).toMatchObject({ vms: [{ phase: "cordoned" }], hold: { by: "launch" } });
  world.cooperate();
  expect(world.committed?.record).toMatchObject({ current: 2, vms: [{ release: 2, phase: "serving" }] });
  expect(world.committed?.record.hold).toBeUndefined();
});
