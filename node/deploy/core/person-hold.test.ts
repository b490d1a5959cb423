import { describe, expect, test } from "vitest";
import {
  type AppRecord,
  appName,
  type DeploySpec,
  type DesiredVm,
  type Hold,
  memberName,
  type Rollout as RolloutOf,
  type RolloutStep,
  vmName,
} from "../../../mesh/index.ts";
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

test("the plan of a deploy says that its requests stay held", () => {
  const world = new World({ hosts: 2, proxies: 1, isGated: true });
  world.submit(specOf("hello"), "1");
  world.cooperate();
  const next = specOf("hello", { command: ["node", "2"] });
  const heldText = /^its requests are held since somebody said `grapevine hold hello`/;
  const costs = () => world.plan(next, "2").costs.filter(({ what }) => heldText.test(what));
  expect(costs()).toEqual([]);
  expect(world.holdByPerson("hold")).toBe(true);
  expect(costs()).toMatchObject([{ code: "hold", steps: [] }]);
});

describe("a release", () => {
  test("ends a person's hold, and of an app that is not held it is so already", () => {
    const released = releasedByPerson(record("person"));
    expect(released.code === "changed" && "hold" in released.record).toBe(false);
    const free = record(null);
    expect(releasedByPerson(free)).toEqual({ code: "changed", record: free });
  });

  test.each(["rollout", "launch"] as const)("ends that by %s where nothing is under way that would", (by) => {
    expect(releasedByPerson(record(by))).toEqual({ code: "changed", record: record(null) });
  });
});

/** An app in the middle of a rollout, or after it. `steps` are those of the rollout, the last one in force. */
interface Case {
  readonly says: string;
  readonly kind: RolloutOf["kind"];
  readonly state?: RolloutOf["state"];
  readonly direction?: RolloutOf["direction"];
  readonly steps?: readonly RolloutStep["kind"][];
  readonly serves?: boolean;
  readonly idle?: boolean;
  /** A deploy follows. */
  readonly next?: number;
  readonly owner: Hold["by"] | null;
}

const CASES: readonly Case[] = [
  { says: "an app that serves", kind: "deploy", state: "succeeded", serves: true, owner: null },
  { says: "an app whose last VM was stopped", kind: "stop", state: "succeeded", owner: null },
  { says: "the same of one that may sleep", kind: "stop", state: "succeeded", idle: true, owner: null },
  { says: "an app that fell asleep", kind: "sleep", state: "succeeded", idle: true, owner: "idle" },
  {
    says: "an app whose deploy failed in its sleep",
    kind: "deploy",
    state: "failed",
    idle: true,
    owner: "idle",
  },
  { says: "an app scaled in its sleep, in vain", kind: "scale", state: "failed", idle: true, owner: "idle" },
  { says: "an app whose wake failed", kind: "wake", state: "failed", idle: true, owner: "idle" },
  { says: "a first launch that failed", kind: "deploy", state: "failed", owner: null },
  { says: "a first launch", kind: "deploy", steps: ["start"], owner: "launch" },
  {
    says: "a first launch that is paused",
    kind: "deploy",
    state: "paused",
    steps: ["start"],
    owner: "launch",
  },
  {
    says: "a first launch that goes back",
    kind: "deploy",
    direction: "back",
    steps: ["start", "stop"],
    owner: "launch",
  },
  { says: "a deploy over a stopped app", kind: "deploy", steps: ["command"], owner: "launch" },
  { says: "a deploy of an app that sleeps", kind: "deploy", steps: ["start"], idle: true, owner: "idle" },
  {
    says: "a deploy, before it closes what serves",
    kind: "deploy",
    steps: ["start", "standby"],
    serves: true,
    owner: null,
  },
  {
    says: "a deploy that replaces one by one",
    kind: "deploy",
    steps: ["cordon", "stop", "start"],
    owner: "launch",
  },
  { says: "a cutover's own hold", kind: "deploy", steps: ["standby", "hold"], owner: "rollout" },
  {
    says: "the same beside what serves by weight",
    kind: "deploy",
    steps: ["weigh", "hold"],
    serves: true,
    owner: "rollout",
  },
  { says: "a cutover that is over", kind: "deploy", steps: ["hold", "flip"], serves: true, owner: null },
  {
    says: "a handoff between its VMs",
    kind: "deploy",
    steps: ["prepare", "hold", "handover"],
    owner: "rollout",
  },
  {
    says: "the same on its way back",
    kind: "deploy",
    direction: "back",
    steps: ["hold", "handover", "handover"],
    owner: "rollout",
  },
  {
    says: "a handoff of an app that may sleep",
    kind: "deploy",
    steps: ["hold", "handover"],
    idle: true,
    owner: "rollout",
  },
  {
    says: "a restart of one that never runs twice",
    kind: "restart",
    steps: ["hold", "handover"],
    owner: "rollout",
  },
  {
    says: "a repair of one that never runs twice",
    kind: "repair",
    steps: ["hold", "stop", "start"],
    owner: "rollout",
  },
  {
    says: "a move of one that never runs twice",
    kind: "move",
    steps: ["prepare", "hold", "stop"],
    owner: "rollout",
  },
  { says: "a split that changes at once", kind: "weigh", steps: ["hold"], owner: "rollout" },
  { says: "a stop of the last VM", kind: "stop", steps: ["cordon"], owner: null },
  {
    says: "the same of an app that may sleep",
    kind: "stop",
    steps: ["cordon", "stop"],
    idle: true,
    owner: null,
  },
  {
    says: "the same before a deploy that follows it",
    kind: "stop",
    steps: ["cordon"],
    next: 2,
    owner: "launch",
  },
  { says: "a destroy", kind: "destroy", steps: ["cordon", "stop"], idle: true, owner: null },
  { says: "an app that falls asleep", kind: "sleep", steps: ["hold"], idle: true, owner: "idle" },
  { says: "the same, a step later", kind: "sleep", steps: ["hold", "stop"], idle: true, owner: "idle" },
  { says: "a wake", kind: "wake", steps: ["start"], idle: true, owner: "idle" },
  { says: "an app scaled in its sleep", kind: "scale", steps: ["start"], idle: true, owner: "idle" },
  { says: "an app scaled that was stopped", kind: "scale", steps: ["start"], owner: "launch" },
];

function recordOfCase({
  kind,
  state = "running",
  direction = "forward",
  steps = [],
  ...more
}: Case): AppRecord {
  const spec = specOf("hello", more.idle === true ? { idle: { afterMs: 5_000 } } : {});
  const release = { number: 1, specHash: "1", spec, vmsNamed: 1, submittedAtMs: 1 };
  const all = steps.map((of, index) => {
    return { number: index + 1, kind: of, vms: [], hosts: [], ackSet: [], startedAtMs: 1 };
  });
  const isOver = state !== "running" && state !== "paused";
  const done = isOver ? all : all.slice(0, -1);
  const rollout: RolloutOf = {
    id: "hello-v1",
    kind,
    state,
    direction,
    from: 1,
    to: 1,
    targets: [],
    driver: memberName("host-1"),
    step: isOver ? null : (all.at(-1) ?? null),
    history: done.map(({ hosts: _hosts, ackSet: _ackSet, ...step }) => ({
      ...step,
      waitedMs: 1,
      outcome: "",
    })),
    startedAtMs: 1,
    endedAtMs: isOver ? 1 : null,
    reason: null,
    ...(more.next === undefined ? {} : { next: more.next }),
  };
  const vm: DesiredVm = {
    vm: vmName("hello-v1-1"),
    release: 1,
    host: memberName("host-1"),
    phase: more.serves === true ? "serving" : "cordoned",
    requires: null,
  };
  return { ...record("person"), releases: [release], vms: [vm], rollout };
}

describe("a release of a person's hold", () => {
  test.each(CASES)("gives it over $says to whom it is: $owner", ({ owner, ...one }) => {
    const released = releasedByPerson(recordOfCase({ owner, ...one }));
    expect(released.code === "changed" ? (released.record.hold?.by ?? null) : released.message).toBe(owner);
  });
});

describe("a release where no person holds", () => {
  const messageOf = (by: Hold["by"], one: Omit<Case, "says" | "owner">): string => {
    const held = recordOfCase({ says: "", owner: null, ...one });
    const released = releasedByPerson({ ...held, hold: { by, atMs: 1 } });
    return released.code === "invalid" ? released.message : "changed";
  };

  test("of a first launch says what it waits for, and names no abort: with that its requests are sent nowhere", () => {
    expect(messageOf("launch", { kind: "deploy", steps: ["start"] })).toBe(
      "no VM of hello serves: hello-v1 sends its requests on as soon as one does; `grapevine status hello` says for whom it waits",
    );
    expect(messageOf("launch", { kind: "deploy", state: "paused", steps: ["start"] })).toBe(
      "no VM of hello serves: hello-v1 sends its requests on as soon as one does; it is paused, `grapevine resume hello` lets it go on",
    );
  });

  test("of a cutover names the abort, unless it goes back, or cannot be aborted", () => {
    const abort = "`grapevine abort hello` takes it back";
    expect(messageOf("rollout", { kind: "deploy", steps: ["hold"] })).toContain(abort);
    expect(messageOf("rollout", { kind: "deploy", direction: "back", steps: ["hold"] })).not.toContain(
      "abort",
    );
    expect(messageOf("rollout", { kind: "repair", steps: ["hold"] })).not.toContain("abort");
  });

  test("of an app that sleeps says what wakes it", () => {
    expect(messageOf("idle", { kind: "sleep", state: "succeeded", idle: true })).toBe(
      "hello sleeps: a request wakes it, and is sent on then",
    );
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
