// Fences: a person's word is about one death of a host, whatever else stands still meanwhile.

import { expect, test } from "vitest";
import { memberName } from "../../../mesh/index.ts";
import { specOf } from "../testing/specs.ts";
import { HEALTHY } from "../testing/vm-states.ts";
import { World } from "../testing/world.ts";

const HOST = memberName("host-1");

test("a fence is over once the host is back, also while a deploy is paused", () => {
  const world = new World({ hosts: 3, proxies: 2, isGated: true });
  world.submit(specOf("hello"), "1");
  world.cooperate();
  world.submit(specOf("hello", { command: ["node", "2"] }), "2");
  expect(world.pause().code).toBe("begin");
  world.hostDies(HOST);
  world.fence(HOST);
  expect(world.committed?.record.fenced?.map(({ host }) => host)).toEqual([HOST]);
  world.hostBack(HOST, { isNew: false });
  expect(world.committed?.record.fenced).toBeUndefined();
  expect(world.committed?.record.rollout?.state).toBe("paused");
});

test("a fence is over once the host was heard, also if it dies again while a swap is on its way", () => {
  const world = new World({ hosts: 3, proxies: 2, isGated: true });
  world.submit(specOf("hello"), "1");
  world.cooperate();
  world.submit(specOf("hello", { command: ["node", "2"] }), "2");
  world.hostDies(HOST);
  world.fence(HOST);
  world.isHoldingSwaps = true;
  // The new one starts, serves, and the old one is to be closed: by a commit that is on its way.
  for (let round = 0; world.held?.next.rollout?.step?.kind !== "cordon"; round += 1) {
    if (round > 20) throw new Error(world.machine.describe());
    if (world.held !== null) world.carryOut(world.held);
    for (const { vm, host } of world.committed?.record.vms ?? []) if (host !== HOST) world.say(vm, HEALTHY);
    for (const proxy of world.proxies.keys()) {
      world.apply(proxy);
      world.answer(proxy);
      world.deliver(proxy);
    }
  }
  world.hostBack(HOST, { isNew: false });
  world.hostDies(HOST);
  for (const proxy of world.proxies.values()) proxy.connected = false;
  world.membersChanged();
  world.isHoldingSwaps = false;
  world.carryOut(world.held);
  expect(world.committed?.record.vms).toContainEqual(
    expect.objectContaining({ host: HOST, phase: "cordoned" }),
  );
  world.cooperate();
  expect(world.committed?.record.rollout?.state).toBe("succeeded");
});
