import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  appName,
  commandVmOf,
  isUnderWay,
  type MemberName,
  memberName,
  placedVms,
  type VmName,
  type Weights,
} from "../../../mesh/index.ts";
import { countOf, deployed, deployOf } from "../testing/any-deploy.ts";
import { isPrepared, mayComeUp } from "../testing/handed-over.ts";
import { specOf } from "../testing/specs.ts";
import { HEALTHY, PREPARED } from "../testing/vm-states.ts";
import { World } from "../testing/world.ts";
import { submitMove } from "./move.ts";
import { submitRestart, submitScale } from "./submit-scale.ts";

const HELLO = appName("hello");

/** What may happen, in any order. `pick` chooses among the VMs or proxies that there are. */
const KINDS = [
  "deploy",
  "stop",
  "destroy",
  "promote",
  "abort",
  "pause",
  "resume",
  "traffic",
  "traffic",
  "rollback",
  "supersede",
  "scale",
  "scale",
  "restart",
  "drain",
  "move",
  "move",
  "healthy",
  "healthy",
  "unhealthy",
  "exited",
  "command-ends",
  "gone",
  "gone",
  "apply",
  "apply",
  "answer",
  "answer",
  "deliver",
  "deliver",
  "acks",
  "acks",
  "acks",
  "lose-ack",
  "request",
  "finish",
  "count",
  "count",
  "disconnect",
  "connect",
  "join",
  "leave",
  "restart-proxy",
  "restart-driver",
  "forget",
  "learn",
  "host-dies",
  "host-back",
  "host-anew",
  "fence",
  "fence",
  "gate-closes",
  "gate-closes",
  "hold",
  "person-hold",
  "person-release",
  "quiet",
  "heal",
  "heal",
  "heal",
  "wanted",
  "commit-held",
  "pass",
] as const;

interface Happening {
  readonly kind: (typeof KINDS)[number];
  readonly pick: number;
}

const happenings = fc.array(fc.record({ kind: fc.constantFrom(...KINDS), pick: fc.nat({ max: 1000 }) }), {
  minLength: 0,
  maxLength: 200,
  size: "max",
});

// fast-check prints seed and path of a failure: put them into the options below to replay it. PROPERTY_RUNS=20000 digs deeper.
const RUNS = { numRuns: Number(process.env["PROPERTY_RUNS"] ?? 300) };

/** Nothing here waits: this only bounds a machine that is busy with other things. */
const TIMEOUT_MS = 60_000 + RUNS.numRuns * 100;

describe("Rollout, whatever happens in whatever order", () => {
  it.each([
    { hosts: "without gates", isGated: false },
    { hosts: "with gates", isGated: true },
  ])(
    "stops no VM early, always has one that serves, and ends when all take part again, on hosts $hosts",
    ({ isGated }) => {
      fc.assert(
        fc.property(happenings, (all) => {
          const world = new World({ hosts: 3, proxies: 2, isGated });
          for (const happening of all) happen(world, happening);
          ensureProxy(world);
          world.cooperate();
          if (world.committed?.record.hold?.by === "person") world.holdByPerson("release");
          // It may fall asleep then.
          world.cooperate();
          const record = world.committed?.record;
          // What is kept is kept for a request that wakes the app.
          expect([undefined, "idle"]).toContain(record?.hold?.by);
          expect(isUnderWay(record?.rollout)).toBe(false);
          const isKept = (release: number) => record?.kept?.release === release;
          expect((record?.vms ?? []).filter((vm) => vm.phase !== "serving" && !isKept(vm.release))).toEqual(
            [],
          );
          expect([...world.entries.keys()].sort()).toEqual((record?.vms ?? []).map((vm) => vm.vm).sort());
        }),
        RUNS,
      );
    },
    TIMEOUT_MS,
  );

  it(
    "a deploy that nothing disturbs succeeds from wherever the app was",
    () => {
      fc.assert(
        fc.property(happenings, fc.integer({ min: 1, max: 4 }), fc.nat({ max: 1000 }), (all, count, pick) => {
          const world = new World({ hosts: 3, proxies: 2 });
          for (const happening of all) happen(world, happening);
          ensureProxy(world);
          world.cooperate();
          const deploy = deployOf(pick);
          const spec = specOf("hello", { count: countOf(deploy, count), deploy });
          endSplit(world);
          expect(world.submit(spec, "last").code).toBe("begin");
          world.cooperate();
          expect(world.committed?.record.rollout?.state).toBe("succeeded");
          const vms = world.committed?.record.vms ?? [];
          expect(vms.filter(({ phase }) => phase === "serving").length).toBe(countOf(deploy, count));
        }),
        RUNS,
      );
    },
    TIMEOUT_MS,
  );
});

/** Without any proxy nothing may be taken out of routing: an empty set is never a quorum. */
function ensureProxy(world: World): void {
  if ([...world.proxies.values()].some((proxy) => proxy.registered)) return;
  world.join(memberName("proxy-1"));
  world.membersChanged();
}

function happen(world: World, { kind, pick }: Happening): void {
  const proxy = pickProxy(world, pick);
  const vm = pickVm(world, pick);
  const truth = world.proxies.get(proxy);
  switch (kind) {
    case "deploy":
      world.submit(deployed(pick), `hash-${pick}`);
      return;
    case "count":
      // Some of them prove that the new release is worse, some are too few.
      world.count({
        proxy,
        startId: `s${pick % 3}`,
        fresh: [10 * (pick % 30), pick % 7],
        old: [10 * (pick % 90), pick % 2],
      });
      return;
    case "stop":
      if (vm !== null && pick % 4 === 0) world.stopVm(vm);
      return;
    case "promote":
      world.promote();
      return;
    case "abort":
      if (pick % 3 === 0) world.abort();
      return;
    case "pause":
      if (pick % 3 === 0) world.pause();
      return;
    case "resume":
      world.resume();
      return;
    case "traffic":
      world.traffic(weightsOf(world, pick));
      return;
    case "rollback":
      if (pick % 3 === 0) world.rollback(pick % 2 === 0 ? null : 1 + (pick % 4));
      return;
    case "supersede":
      world.submit(deployed(pick), `hash-${pick % 20}`, true);
      return;
    case "scale":
      world.ask((at, context) => submitScale(at, { app: HELLO, count: 1 + (pick % 4) }, context));
      return;
    case "restart":
      if (pick % 2 === 0) world.ask((at, context) => submitRestart(at, HELLO, context));
      return;
    case "drain":
      // One at most: where no host takes anything nothing can be repaired.
      world.draining.clear();
      if (pick % 4 > 0) world.draining.add(pickHost(world, pick));
      world.membersChanged();
      return;
    case "move":
      for (const host of world.draining)
        world.ask((at, context) => submitMove(at, { app: HELLO, host }, context));
      return;
    case "destroy":
      if (pick % 4 === 0) world.destroy();
      return;
    case "healthy":
      if (vm !== null && isPrepared(world, vm)) world.say(vm, PREPARED);
      else if (vm !== null && mayComeUp(world, vm)) world.say(vm, HEALTHY);
      return;
    case "unhealthy":
      if (vm !== null && mayComeUp(world, vm) && pick % 2 === 0)
        world.say(vm, { state: "running", health: "unhealthy" });
      return;
    case "exited":
      if (vm !== null && !isPrepared(world, vm) && pick % 2 === 0)
        world.say(vm, { state: "exited", health: "unknown", restarts: 1 });
      return;
    case "command-ends": {
      const command = world.committed === null ? null : commandVmOf(world.committed.record);
      const exit = { code: pick % 3 === 0 ? 1 : 0, signal: null };
      if (command !== null) world.say(command.vm, { state: "exited", exit });
      return;
    }
    case "gone": {
      const wanted = world.committed === null ? [] : placedVms(world.committed.record).map(({ vm }) => vm);
      for (const name of world.entries.keys()) if (!wanted.includes(name)) world.gone(name);
      return;
    }
    case "apply":
      world.apply(proxy);
      return;
    case "answer":
      world.answer(proxy);
      return;
    case "deliver":
      world.deliver(proxy);
      return;
    case "acks":
      for (const name of world.proxies.keys()) {
        world.apply(name);
        world.answer(name);
        while ((world.proxies.get(name)?.told.length ?? 0) > 0) world.deliver(name);
      }
      return;
    case "lose-ack":
      truth?.told.shift();
      return;
    case "request":
      world.request(proxy, pick);
      return;
    case "finish":
      world.finish(proxy);
      return;
    case "disconnect":
    case "connect":
      Object.assign(truth ?? {}, { connected: kind === "connect" });
      world.membersChanged();
      return;
    case "join":
      world.join(memberName(`proxy-${1 + (pick % 4)}`));
      world.membersChanged();
      return;
    case "leave":
      Object.assign(truth ?? {}, { registered: false, table: null, inFlight: new Map(), told: [] });
      world.membersChanged();
      return;
    case "restart-proxy":
      Object.assign(truth ?? {}, { table: world.committed, inFlight: new Map(), told: [] });
      return;
    case "restart-driver":
      world.restart();
      return;
    case "forget":
      // The driver starts again and has not heard of this proxy yet. Of one that registered after the last commit the
      // record knows nothing: for those the coordinator syncs with who answers before it believes the answer.
      if (world.committed?.record.rollout?.proxies?.includes(proxy) && truth) truth.known = false;
      world.restart();
      return;
    case "learn":
      for (const each of world.proxies.values()) each.known = true;
      world.membersChanged();
      return;
    case "host-dies":
      world.hostDies(pickHost(world, pick));
      return;
    case "host-back":
    case "host-anew":
      world.hostBack(pickHost(world, pick), { isNew: kind === "host-anew" });
      return;
    case "fence":
      world.fence(pickHost(world, pick));
      return;
    case "gate-closes":
      world.closeGate(pickHost(world, pick));
      return;
    case "hold":
      world.isHoldingSwaps = pick % 2 === 0;
      return;
    case "person-hold":
    case "person-release":
      world.holdByPerson(kind === "person-hold" ? "hold" : "release");
      return;
    case "heal":
      world.heal();
      return;
    case "quiet":
      for (const name of world.proxies.keys()) world.demand(name, { wanted: 0, quietMs: 90_000 });
      return;
    case "wanted":
      world.demand(proxy, { wanted: 1, quietMs: null });
      return;
    case "commit-held":
      if (world.held !== null) world.carryOut(world.held);
      return;
    case "pass":
      world.pass(pick * 70);
  }
}

/** Two of the releases that have VMs, or one. */
function weightsOf(world: World, pick: number): Weights {
  const releases = [...new Set((world.committed?.record.vms ?? []).map(({ release }) => release))];
  const [first = 1, second = first] = pick % 2 === 0 ? releases : releases.toReversed();
  const share = [100, 90, 50, 1][pick % 4] ?? 100;
  const rest = [{ release: second, weight: 100 - share }];
  return [{ release: first, weight: share }, ...(second === first ? [] : rest)];
}

/** A split is a person's to end before the next deploy. */
function endSplit(world: World): void {
  const { weights } = world.committed?.record ?? {};
  if (weights === undefined) return;
  const [most] = [...weights].sort((left, right) => right.weight - left.weight);
  expect(world.traffic([{ release: most?.release ?? 0, weight: 100 }]).code).toBe("begin");
  world.cooperate();
}

function pickProxy(world: World, pick: number): MemberName {
  const names = [...world.proxies.keys()];
  return names[pick % names.length] as MemberName;
}

function pickHost(world: World, pick: number): MemberName {
  return [...world.hosts][pick % world.hosts.size] as MemberName;
}

function pickVm(world: World, pick: number): VmName | null {
  const vms = world.committed?.record.vms ?? [];
  return vms[pick % Math.max(1, vms.length)]?.vm ?? null;
}
