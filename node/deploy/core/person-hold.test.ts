import { describe, expect, test } from "vitest";
import type { AppRecord, DeploySpec, Hold } from "../../../mesh/index.ts";
import { appName } from "../../../mesh/index.ts";
import { specOf } from "../testing/specs.ts";
import { World } from "../testing/world.ts";
import { heldByPerson, releasedByPerson } from "./person-hold.ts";

function record(by: Hold["by"] | null, hostnames: readonly string[] = ["hello.localhost"]): AppRecord {
  return {
    format: 1,
    app: appName("hello"),
    deleted: false,
    hostnames,
    releases: [],
    current: 1,
    lastRelease: 1,
    vms: [],
    ...(by === null ? {} : { hold: { by, atMs: 1 } }),
    rollout: null,
  };
}

describe("a person's hold", () => {
  test.each([null, "rollout", "launch", "idle"] as const)("takes the place of that by %s", (by) => {
    expect(heldByPerson(record(by), 7)).toMatchObject({
      code: "changed",
      record: { hold: { by: "person", atMs: 7 } },
    });
  });

  test("stands as it is when it is said again", () => {
    const held = record("person");
    expect(heldByPerson(held, 7)).toEqual({ code: "changed", record: held });
  });

  test("is refused where no request comes", () => {
    expect(heldByPerson(record(null, []), 7)).toMatchObject({ code: "invalid" });
  });
});

describe("a release", () => {
  test("ends a person's hold, and of an app that is not held it is so already", () => {
    const released = releasedByPerson(record("person"));
    expect(released.code === "changed" && "hold" in released.record).toBe(false);
    const free = record(null);
    expect(releasedByPerson(free)).toEqual({ code: "changed", record: free });
  });

  test.each(["rollout", "launch"] as const)("does not end that by %s", (by) => {
    expect(releasedByPerson(record(by))).toMatchObject({
      code: "invalid",
      message: expect.stringContaining("grapevine abort hello"),
    });
  });
});

describe("a release within a rollout's own hold", () => {
  const ATOMIC: DeploySpec = {
    strategy: "immediate",
    cutover: "atomic",
    drainTimeoutMs: 30_000,
    waitTimeoutMs: 60_000,
  };

  test("gives the hold back to the rollout, which lifts it once something serves", () => {
    const world = new World({ hosts: 2, proxies: 1, isGated: true });
    world.submit(specOf("hello", { deploy: ATOMIC }), "1");
    world.cooperate();
    world.submit(specOf("hello", { deploy: ATOMIC, command: ["node", "2"] }), "2");
    for (let round = 0; world.committed?.record.rollout?.step?.kind !== "hold"; round += 1) {
      if (round > 20) throw new Error(world.machine.describe());
      world.heal();
    }
    const { record: before } = world.committed;
    const held = heldByPerson(before, 7);
    if (held.code === "invalid") throw new Error(held.message);
    expect(held.record.hold?.by).toBe("person");
    expect(releasedByPerson(held.record)).toMatchObject({
      code: "changed",
      record: { hold: { by: "rollout" } },
    });
    world.cooperate();
    expect(world.committed.record.hold).toBeUndefined();
    const served = heldByPerson(world.committed.record, 8);
    if (served.code === "invalid") throw new Error(served.message);
    const released = releasedByPerson(served.record);
    expect(released.code === "changed" && "hold" in released.record).toBe(false);
  });
});
