import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import {
  appName,
  type CanarySpec,
  type Demand,
  type DeploySpec,
  type MemberName,
  memberName,
  type VmEntry,
  vmName,
  type Weights,
} from "../../../mesh/index.ts";
import { specOf } from "../testing/specs.ts";
import { HEALTHY, PREPARED } from "../testing/vm-states.ts";
import { World } from "../testing/world.ts";
import { describeSubject } from "./describe.ts";
import { stayOf } from "./drain.ts";
import { submitMove } from "./move.ts";
import type { Submission } from "./submit.ts";
import { submitRestart, submitScale } from "./submit-scale.ts";

// Transcripts: paragraphs of prose, and commands (">") with what followed from them. `REWRITE=1` writes them anew:
// read the diff before you keep it.
const HELLO = appName("hello");
const FOLDER = join(import.meta.dirname, "testdata");

describe("Rollout", () => {
  for (const file of readdirSync(FOLDER)) {
    it(`does what ${file} tells`, () => {
      const path = join(FOLDER, file);
      const before = readFileSync(path, "utf8");
      const after = replay(before);
      if (process.env["REWRITE"] === "1") writeFileSync(path, after);
      else expect(after).toBe(before);
    });
  }

  it("survives the loss of its driver before and after every commit", () => {
    const steps = commitsOf(Number.POSITIVE_INFINITY, "none");
    expect(steps.end).toContain("hello-v2 succeeded");
    for (let crash = 0; crash < steps.commits; crash += 1) {
      for (const when of ["before", "after"] as const) {
        const { end } = commitsOf(crash, when);
        expect(end, `crash ${when} commit ${crash}`).toContain("hello-v2 succeeded");
        expect(end).toContain("hello-v2-1 serving");
      }
    }
  });
});

/** Two deploys of three VMs; the driver is lost at commit `crash` of the second. */
function commitsOf(
  crash: number,
  when: "before" | "after" | "none",
): { readonly commits: number; readonly end: string } {
  const world = new World({ hosts: 3, proxies: 2 });
  world.submit(specOf("hello", { count: 3 }), "one");
  world.cooperate();
  world.submit(specOf("hello", { count: 3 }), "two");
  const first = world.committed?.epoch ?? 0;
  world.isHoldingSwaps = true;
  let commits = 0;
  for (let round = 0; round < 400 && world.committed?.record.rollout?.state === "running"; round += 1) {
    if (world.held !== null) {
      const { held } = world;
      if (commits === crash && when === "before") world.restart();
      if (world.held !== null || when === "none") world.carryOut(held);
      if (commits === crash && when === "after") world.restart();
      commits += 1;
    } else takePart(world);
  }
  expect(world.committed?.epoch).toBeGreaterThan(first);
  return { commits, end: world.lines.at(-1) ?? "" };
}

/** Everyone does their part once, in a fixed order. */
function takePart(world: World): void {
  for (const name of world.proxies.keys()) {
    world.apply(name);
    world.answer(name);
    world.deliver(name);
  }
  const wanted = new Set(world.committed?.record.vms.map((vm) => vm.vm));
  for (const vm of wanted) if (!world.entries.has(vm)) world.say(vm, HEALTHY);
  for (const vm of [...world.entries.keys()]) if (!wanted.has(vm)) world.gone(vm);
}

function replay(text: string): string {
  let world = new World({ hosts: 3, proxies: 2 });
  const paragraphs = text.trimEnd().split("\n\n");
  const replayed = paragraphs.map((paragraph) => {
    if (!paragraph.startsWith("> ")) return paragraph;
    const [line = ""] = paragraph.split("\n");
    const words = line.slice(2).split(" ");
    if (words[0] === "world") world = worldOf(words);
    const from = world.lines.length;
    const extra = run(world, words);
    return [line, ...world.lines.slice(from), ...extra].join("\n");
  });
  return `${replayed.join("\n\n")}\n`;
}

/** "world 3 2" hosts and proxies; "world 3 2 gated". */
function worldOf([, hosts, proxies, gated]: readonly string[]): World {
  return new World({ hosts: Number(hosts), proxies: Number(proxies), isGated: gated === "gated" });
}

/** One command; what it prints beside what the machine did. */
function run(world: World, [verb, subject = "", ...rest]: readonly string[]): readonly string[] {
  // Each thing that happens takes its time.
  if (verb !== "pass") world.nowMs += 7;
  const proxies = subject === "all" ? [...world.proxies.keys()] : [memberName(subject)];
  const vm = vmName(subject);
  switch (verb) {
    case "world":
      return [];
    case "deploy": {
      const spec = specOf("hello", { count: Number(subject) });
      return [`${world.submit(spec, rest[0] ?? `hash-${world.lines.length}`).code}`];
    }
    case "supersede":
      return submitted(
        world,
        world.submit(
          specOf("hello", { count: Number(subject) }),
          rest[0] ?? `hash-${world.lines.length}`,
          true,
        ),
      );
    case "deploy-as": {
      const keys = Object.fromEntries(rest.map((word) => word.split("=")));
      return [
        `${world.submit(specOf("hello", { count: Number(rest[0]), deploy: deployOf(subject, keys) }), `hash-${world.lines.length}`).code}`,
      ];
    }
    // "deploy-idle 1 5000": one VM, asleep after 5 s.
    case "deploy-idle": {
      const spec = specOf("hello", { count: Number(subject), idle: { afterMs: Number(rest[0]) } });
      return [...submitted(world, world.submit(spec, `hash-${world.lines.length}`)), ...holder(world)];
    }
    case "quiet":
      return told(world, proxies, { wanted: 0, quietMs: Number(rest[0]) });
    case "wanted":
      return told(world, proxies, { wanted: Number(rest[0]), quietMs: null });
    case "holder":
      return holder(world);
    case "host-dies":
      world.hostDies(memberName(subject));
      return waits(world);
    case "host-back":
    case "host-anew":
      world.hostBack(memberName(subject), { isNew: verb === "host-anew" });
      return waits(world);
    case "drain":
    case "undrain":
      if (verb === "drain") world.draining.add(memberName(subject));
      else world.draining.delete(memberName(subject));
      world.membersChanged();
      return stays(world, subject);
    case "move":
      return moved(world, subject);
    case "stay":
      return stays(world, subject);
    case "fence":
      world.fence(memberName(subject));
      return waits(world);
    case "close":
      for (const host of subject === "all" ? world.hosts : [memberName(subject)]) world.closeGate(host);
      return waits(world);
    case "exclude":
    case "include":
      world.exclude(memberName(subject), verb);
      return waits(world);
    case "except":
      return (world.committed?.record.rollout?.except ?? []).map((proxy) => `  except: ${proxy}`);
    case "promote":
      return submitted(world, world.promote());
    case "abort":
      return submitted(world, world.abort());
    case "pause":
      return submitted(world, world.pause());
    case "resume":
      return submitted(world, world.resume());
    case "traffic":
      return submitted(world, world.traffic(weightsOf([subject, ...rest])));
    case "rollback":
      return submitted(world, world.rollback(subject === "" ? null : Number(subject.slice(1))));
    case "scale":
      return submitted(
        world,
        world.ask((at, now) => submitScale(at, { app: HELLO, count: Number(subject) }, now)),
      );
    case "restart-app":
      return submitted(
        world,
        world.ask((at, now) => submitRestart(at, HELLO, now)),
      );
    case "shares": {
      const view = world.machine.view(world.nowMs);
      const kept = view?.kept == null ? "" : `; ${view.kept.release} kept: ${view.kept.vms.join(" ")}`;
      return [`  ${JSON.stringify(view?.weights)} ${view?.byWeight ? "by weight" : "by VMs"}${kept}`];
    }
    case "stop":
      return [world.stopVm(vm).code];
    case "destroy":
      return [world.destroy().code];
    case "healthy":
      for (const name of [subject, ...rest]) world.say(vmName(name), { ...HEALTHY, address: ADDRESS });
      return waits(world);
    case "prepared":
      world.say(vm, PREPARED);
      return waits(world);
    case "exited":
      world.say(vm, {
        state: "exited",
        exit: { code: Number(rest[0] ?? 1), signal: null },
        lastLines: rest[0] === "0" ? [] : ["no such table: users"],
      });
      return [...reason(world), ...waits(world)];
    case "running":
      world.say(vm, { state: "running", health: "unknown" });
      return waits(world);
    case "unhealthy":
      world.say(vm, { state: "running", health: "unhealthy", reason: "GET /healthz answered 500" });
      return [...reason(world), ...waits(world)];
    case "gone":
      for (const name of [subject, ...rest]) world.gone(vmName(name));
      return waits(world);
    case "request":
      for (const proxy of proxies) world.request(proxy, 0);
      return [];
    // "count all 57/2 900/1 b": requests and errors of the new release, of the old, and of which start, "a" unless said.
    case "count": {
      const [fresh = "0/0", old = "0/0", startId = "a"] = rest;
      const pair = (text: string) => text.split("/").map(Number) as [number, number];
      for (const proxy of proxies) world.count({ proxy, startId, fresh: pair(fresh), old: pair(old) });
      return [...reason(world), ...waits(world)];
    }
    case "finish":
      for (const proxy of proxies) world.finish(proxy);
      return [];
    case "ack":
      for (const proxy of proxies) {
        world.apply(proxy);
        world.answer(proxy);
      }
      for (const proxy of proxies) world.deliver(proxy);
      return waits(world);
    case "lose":
      Object.assign(world.proxies.get(memberName(subject)) ?? {}, { connected: false });
      world.membersChanged();
      return waits(world);
    case "die":
      Object.assign(world.proxies.get(memberName(subject)) ?? {}, { connected: false, table: null });
      world.membersChanged();
      return waits(world);
    case "leave":
      Object.assign(world.proxies.get(memberName(subject)) ?? {}, { registered: false });
      world.membersChanged();
      return waits(world);
    case "join":
      world.join(memberName(subject));
      world.membersChanged();
      return waits(world);
    case "pass":
      world.pass(Number(subject));
      return [...reason(world), ...waits(world)];
    case "restart":
      world.restart();
      return waits(world);
    case "history":
      return (world.committed?.record.rollout?.history ?? []).map(
        ({ outcome, fenced = [], ...step }) =>
          `  ${step.number} ${step.kind} ${describeSubject(step)}: ${outcome}${fenced.map(({ host }) => `, fenced ${host}`).join("")}`,
      );
    default:
      throw new Error(`no command ${verb}`);
  }
}

function submitted(world: World, submission: Submission): readonly string[] {
  if (submission.code === "unchanged") return [`unchanged: ${submission.message}`];
  if (submission.code === "invalid") return [`invalid: ${submission.message}`];
  const note = submission.code === "begin" && submission.note !== undefined ? `: ${submission.note}` : "";
  return [`${submission.code}${note}`, ...waits(world)];
}

/** What the first voter does when it looks: the app moves if it can. */
function moved(world: World, host: string): readonly string[] {
  const { committed } = world;
  const request = { app: appName("hello"), host: memberName(host) };
  const submission = submitMove(committed, request, world.machine.context(world.nowMs));
  if (submission.code === "begin") {
    const expectedEpoch = committed?.epoch ?? 0;
    world.carryOut({ kind: "swap", expectedEpoch, next: submission.record, why: "" });
  }
  return submitted(world, submission);
}

/** What keeps the app there. */
function stays(world: World, host: string): readonly string[] {
  const { committed } = world;
  if (committed === null) return [];
  const stay = stayOf(committed, memberName(host), world.machine.context(world.nowMs));
  if (stay === null) return [`  nothing on ${host}`];
  const advice = stay.advice === null ? "" : `; ${stay.advice}`;
  return [`  ${stay.state}: hello (${stay.vms.join(" ")}) ${stay.why}${advice}`];
}

/** "v2=10", "v1=90". */
function weightsOf(words: readonly string[]): Weights {
  return words.map((word) => {
    const [release = "", weight = ""] = word.slice(1).split("=");
    return { release: Number(release), weight: Number(weight) };
  });
}

/** "bluegreen", and of `keys` "cutover", "approval", "keep", "surge", "unavailable", "healthy", "command" (its timeout). */
function deployOf(strategy: string, keys: Readonly<Record<string, string>>): DeploySpec {
  const numbers = {
    keepOldMs: keys["keep"],
    maxSurge: keys["surge"],
    maxUnavailable: keys["unavailable"],
    minHealthyMs: keys["healthy"],
    ackQuorum: keys["quorum"],
    excludeSilentAfterMs: keys["silent"],
    releaseCommandTimeoutMs: keys["command"],
  };
  const given = Object.entries(numbers).flatMap(([key, text]) =>
    text === undefined ? [] : [[key, Number(text)]],
  );
  return {
    strategy: strategy as DeploySpec["strategy"],
    drainTimeoutMs: 30_000,
    waitTimeoutMs: 60_000,
    ...(strategy === "canary" ? { canary: canaryOf(keys) } : {}),
    ...(keys["cutover"] === "atomic" ? { cutover: "atomic" } : {}),
    ...(keys["approval"] === "manual" ? { approval: "manual" } : {}),
    ...(keys["command"] === undefined ? {} : { releaseCommand: ["node", "migrate.js"] }),
    ...Object.fromEntries(given),
  };
}

/** "weights=5,25,50", "bake", "requests". */
function canaryOf(keys: Readonly<Record<string, string>>): CanarySpec {
  const weights = (keys["weights"] ?? "5,50").split(",").map(Number);
  return {
    weights,
    bakeMs: Number(keys["bake"] ?? 5_000),
    minRequests: Number(keys["requests"] ?? 50),
  };
}

const ADDRESS: VmEntry["address"] = { host: "127.0.0.1", port: 20_001 };

function waits(world: World): readonly string[] {
  const view = world.machine.view(world.nowMs);
  const waiting = [...(view?.rollout?.step?.waitingFor ?? []), ...(view?.leftovers ?? [])];
  const stalled = view?.rollout?.stalled == null ? [] : [`  stalled: ${view.rollout.stalled}`];
  return [...stalled, ...waiting.map(({ who, what }) => `  waits: ${who} ${what}`)];
}

/** Who asks for the app, as these proxies say. */
function told(
  world: World,
  proxies: readonly MemberName[],
  demand: Pick<Demand, "wanted" | "quietMs">,
): readonly string[] {
  for (const proxy of proxies) world.feed({ kind: "demand", proxy, demand: { app: HELLO, ...demand } });
  return [...holder(world), ...waits(world)];
}

function holder(world: World): readonly string[] {
  return [`  held by ${world.committed?.record.hold?.by ?? "nobody"}`];
}

function reason(world: World): readonly string[] {
  const why = world.committed?.record.rollout?.reason;
  return why == null
    ? []
    : [`  reason: ${why.code}: ${why.message}`, ...why.lastLines.map((line) => `  | ${line}`)];
}
