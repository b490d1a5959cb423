import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { appName, memberName, vmName } from "../../mesh/index.ts";
import { fakeRollout, fakeView } from "../api/testing/fake-agent.ts";
import type { DrainView, StayView } from "../deploy/drain-view.ts";
import { Commands } from "./testing/commands.ts";

const HOST = memberName("host-1");
let commands: Commands;
beforeEach(async () => {
  commands = await Commands.start();
});
afterEach(() => commands.close());

const MOVE = "hello-v1-e5";
const MOVING: StayView = {
  app: appName("hello"),
  vms: [vmName("hello-v1-1")],
  state: "moves",
  why: `moves by ${MOVE}`,
  advice: null,
  rollout: MOVE,
  inMs: null,
  view: fakeView({ rollout: fakeRollout({ id: MOVE, kind: "move", leaves: HOST }) }),
};
const KEPT: StayView = {
  app: appName("web"),
  vms: [vmName("web-v1-1")],
  state: "waits",
  why: "keeps v1 there for a rollback (keep_old of web)",
  advice: "to give it up now: `grapevine vm stop web-v1-1`",
  rollout: null,
  inMs: 60_000,
  view: null,
};

function show(apps: readonly StayView[], use: DrainView["use"] = "draining"): void {
  commands.deploys.drains.show({ host: HOST, use, connected: true, empty: apps.length === 0, apps });
}

/** Once the command has said so much. */
function said(child: ReturnType<Commands["run"]>["child"], text: string): Promise<void> {
  return new Promise((resolve) => {
    let all = "";
    child.stdout?.on("data", (chunk) => {
      all += chunk;
      if (all.includes(text)) resolve();
    });
  });
}

describe("host drain", () => {
  it("says what keeps each app there, and returns 0 once the host is empty", async () => {
    show([MOVING, KEPT]);
    const { child, ended } = commands.run("host", "drain", "host-1");
    await said(child, "keeps v1 there");
    show([KEPT]);
    await said(child, "hello: has left");
    show([]);
    const { code, stdout } = await ended;
    expect(stdout.replace(/after [\d.]+ m?s/, "after a while").split("\n")).toEqual([
      "host-1 is drained: nothing new is placed there, and 2 apps are to leave",
      "hello (hello-v1-1): moves by hello-v1-e5",
      "web (web-v1-1): keeps v1 there for a rollback (keep_old of web) (goes on by itself in 60 s); to give it up now: `grapevine vm stop web-v1-1`",
      "hello: has left host-1 by hello-v1-e5",
      "web: has left host-1",
      "host-1 is empty after a while; `grapevine host uncordon host-1` gives it VMs again",
      "",
    ]);
    expect(code).toBe(0);
    expect(commands.agent.uses).toEqual(["draining"]);
  });

  it("takes no word of an agent that has not heard of the drain yet for its end", async () => {
    show([], "open");
    const { child, ended } = commands.run("host", "drain", "host-1");
    await commands.deploys.drains.whenWatched(1);
    show([MOVING]);
    await said(child, "moves by");
    show([]);
    expect(await ended).toMatchObject({ code: 0 });
  });

  it("returns 5 when somebody ends it, and lists what is left; as JSON it is one value", async () => {
    show([MOVING, KEPT]);
    const { child, ended } = commands.run("host", "drain", "host-1");
    const json = commands.run("host", "drain", "host-1", "--json");
    await said(child, "keeps v1 there");
    await commands.deploys.drains.whenWatched(2);
    show([KEPT]);
    show([KEPT], "open");
    const { code, stdout } = await ended;
    expect(code).toBe(5);
    expect(stdout).toContain("left on host-1:\n  web (web-v1-1): keeps v1 there");
    expect(stdout).toContain("somebody said `grapevine host uncordon host-1` (exit code 5)");
    const told = await json.ended;
    const { view: _view, ...kept } = KEPT;
    expect(JSON.parse(told.stdout)).toMatchObject({
      host: "host-1",
      state: "over",
      exitCode: 5,
      left: [kept],
    });
  });

  it("returns 3 when it does not wait for the end, which comes without it", async () => {
    show([MOVING]);
    const detached = commands.run("host", "drain", "host-1", "--detach");
    expect(await detached.ended).toMatchObject({ code: 3, stdout: expect.stringContaining("it goes on") });
    const { child, ended } = commands.run("host", "drain", "host-1");
    await said(child, "moves by");
    child.kill("SIGINT");
    const { code, stdout } = await ended;
    expect([code, stdout]).toEqual([3, expect.stringContaining("left on host-1:")]);
  });

  it("returns 2 for a host that there is not, or that is none", async () => {
    expect(await commands.run("host", "drain", "host-9").ended).toMatchObject({
      code: 2,
      stderr: "grapevine host drain: there is no host host-9; `grapevine members` lists them\n",
    });
  });
});
