// What a deploy does about a rollout that runs, and scale and restart, as people run them: processes of their own, against an agent's API in
// this one.

import { afterAll, beforeAll, beforeEach, describe, expect, it, vi } from "vitest";
import { appName, memberName } from "../../mesh/index.ts";
import { type FakeDeploys, fakeRollout, fakeView } from "../api/testing/fake-agent.ts";
import type { RolloutView } from "../deploy/app-view.ts";
import type { SubmitResult } from "../deploy/deploys.ts";
import type { Submitted } from "./answers.ts";
import { ApiClient, ApiError } from "./api-client.ts";
import { submitDespite } from "./commands/conflict.ts";
import type { Teller } from "./teller.ts";
import { Commands } from "./testing/commands.ts";

// Processes start slowly on a busy machine; nothing here waits for time to pass.
vi.setConfig({ testTimeout: 60_000 });

const APP = appName("hello");
const LOCKED: SubmitResult = {
  code: "locked",
  app: APP,
  rollout: "hello-v2",
  driver: memberName("host-2"),
  message: "app hello: rollout hello-v2 runs, driven by host-2: wait for its end, or `grapevine abort hello`",
};
const ENDED = { id: "hello-v3", to: 3, state: "succeeded", endedAtMs: 2_000 } as const;

let commands: Commands;
let deploys: FakeDeploys;
const start = (...args: string[]) => commands.run(...args);
const show = (rollout: Partial<RolloutView>, release = "v1") =>
  deploys.show(fakeView({ release, rollout: fakeRollout(rollout) }));
const deploy = (onConflict: string, ...more: string[]) =>
  start("deploy", commands.appFile, "--on-conflict", onConflict, ...more);

beforeAll(async () => {
  commands = await Commands.start();
  ({ deploys } = commands);
});
afterAll(() => commands.close());
beforeEach(() => {
  commands.acceptAll();
  deploys.answerTo = null;
});

it("what was drawn of the rollout that was waited for is gone before anything is told of the next", async () => {
  const client = new ApiClient([{ address: commands.url, name: null, isVerified: true }]);
  const seen: string[] = [];
  const teller: Teller = {
    tell: ({ event }) => seen.push(event),
    show: () => seen.push("shown"),
    end: () => seen.push("end"),
    close: () => seen.push("cleared"),
  };
  show({ state: "aborted", endedAtMs: 1_500 });
  const { code: _code, ...locked } = LOCKED as Extract<SubmitResult, { code: "locked" }>;
  const answer = { error: { code: "locked", ...locked } };
  const accepted = { app: "hello", rollout: "hello-v3", release: 3, joined: false } as Submitted;
  let tries = 0;
  const submit = async () => {
    tries += 1;
    if (tries === 1) throw new ApiError("locked", locked.message, answer);
    seen.push("submitted");
    return accepted;
  };
  const session = { client, signal: new AbortController().signal };
  const options = { app: "hello", onConflict: "wait", waitMs: 60_000, teller } as const;
  expect(await submitDespite(session, submit, options)).toEqual(accepted);
  await client.close();
  expect(seen.slice(seen.lastIndexOf("shown"))).toEqual(["shown", "cleared", "submitted"]);
});

describe("grapevine deploy --on-conflict", () => {
  const accepted: SubmitResult = {
    code: "accepted",
    app: APP,
    rollout: "hello-v3",
    release: 3,
    joined: false,
  };

  it("fail: returns 4, and says whom to wait for", async () => {
    deploys.answerTo = () => LOCKED;
    const { code, stderr } = await deploy("fail").ended;
    expect(code).toBe(4);
    expect(stderr).toContain("rollout hello-v2 runs, driven by host-2");
    expect(stderr).toContain("--on-conflict wait deploys after it, --on-conflict supersede in its place");
  });

  it("wait: follows what runs to its end, and submits then, under the same name", async () => {
    deploys.answerTo = () => LOCKED;
    show({});
    const from = deploys.submissions.length;
    const { ended } = deploy("wait");
    await deploys.whenWatched();
    deploys.answerTo = () => accepted;
    show({ state: "aborted", endedAtMs: 1_500 });
    show(ENDED, "v3");
    const { code, stdout } = await ended;
    expect(stdout).toContain(
      "hello-v2 runs, driven by host-2: waiting for its end, up to 5m; nothing is submitted before\n",
    );
    expect(stdout).toContain("hello-v3: submitted\n");
    expect(code).toBe(0);
    const [first, second] = deploys.submissions.slice(from);
    expect(second).toBe(first);
  });

  it("wait: gives up after the wait timeout, with 4, and has submitted nothing", async () => {
    deploys.answerTo = () => LOCKED;
    show({});
    const { code, stderr } = await deploy("wait", "--wait-timeout", "1s").ended;
    expect(code).toBe(4);
    expect(stderr).toContain(
      "waited 1s for hello-v2, nothing was submitted: app hello: rollout hello-v2 runs",
    );
  });

  it("supersede: says what is taken back, tells of that, and follows the deploy that begins then", async () => {
    const note = "hello-v2 is taken back: hello-v3 begins as soon as that is over";
    deploys.answerTo = (_spec, { supersedes }) =>
      supersedes === true ? { ...accepted, note, supersedes: "hello-v2" } : LOCKED;
    const back = {
      number: 3,
      kind: "stop",
      vms: [],
      back: true,
      waitedMs: 9,
      outcome: "gone after 9 ms",
    } as const;
    show({ direction: "back", next: 3 });
    const { ended } = deploy("supersede");
    await deploys.whenWatched();
    show({ direction: "back", next: 3, history: [back] });
    show({ ...ENDED, superseded: { id: "hello-v2", state: "aborted" } }, "v3");
    const { code, stdout } = await ended;
    expect(stdout).toContain(`${note}\nhello-v3: submitted\n`);
    expect(stdout).toContain("\nhello-v2: aborted; hello-v3 begins\n");
    expect(stdout).toContain("hello-v3: succeeded");
    expect(code).toBe(0);
    const lines = (await deploy("supersede", "--json").ended).stdout.trimEnd().split("\n");
    const json = JSON.parse(lines.at(-1) ?? "");
    expect(json).toMatchObject({
      rollout: "hello-v3",
      supersedes: "hello-v2",
      state: "succeeded",
      exitCode: 0,
    });
  });

  it("says of no begin that was before it asked", async () => {
    deploys.answerTo = () => ({ ...accepted, joined: true });
    show({ ...ENDED, superseded: { id: "hello-v2", state: "aborted" } }, "v3");
    const { stdout } = await start("deploy", commands.appFile).ended;
    expect(stdout).toContain("hello-v3: on its way already; joined it\n");
    expect(stdout).toContain("hello-v3: succeeded");
    expect(stdout).not.toContain("begins");
  });

  it("of what was superseded returns how it ended, and says by whom", async () => {
    show({});
    const { ended } = start("deploy", commands.appFile);
    await deploys.whenWatched();
    show({ id: "hello-v3", to: 3, superseded: { id: "hello-v2", state: "aborted" } });
    const { code, stdout } = await ended;
    expect(stdout).toContain("hello-v2: aborted; hello-v3 took its place\n");
    expect(code).toBe(5);
  });

  it("of one that was withdrawn before it began says so", async () => {
    deploys.answerTo = () => ({ ...accepted, supersedes: "hello-v2" });
    show({ direction: "back", next: 3 });
    const { ended } = deploy("supersede");
    await deploys.whenWatched();
    show({ direction: "back" });
    const { code, stdout } = await ended;
    expect(stdout).toContain("hello-v3: withdrawn: it does not begin (exit code 5)\n");
    expect(code).toBe(5);
  });

  it("says what to write in place of a word that it does not know, and that a plan has no conflict", async () => {
    const wrong = await deploy("supercede").ended;
    expect(wrong).toMatchObject({ code: 2 });
    expect(wrong.stderr).toContain(
      "--on-conflict must be one of fail, wait, supersede; found supercede; did you mean supersede?",
    );
    expect((await deploy("wait", "--plan").ended).stderr).toContain("leave --on-conflict out");
  });
});

describe("grapevine scale and restart", () => {
  it("follow to the end, and say what serves", async () => {
    const note = "v1 gets 2 VMs more: 3 in all";
    deploys.answer = { code: "accepted", app: APP, rollout: "hello-v1-e4", release: 1, joined: false, note };
    const shown = { id: "hello-v1-e4", kind: "scale", from: 1, to: 1, before: 1, count: 3 } as const;
    show({ ...shown, state: "succeeded", endedAtMs: 1_049 });
    const { code, stdout } = await start("scale", "hello", "3").ended;
    expect(stdout).toContain(`${note}\nhello-v1-e4: submitted\n`);
    expect(stdout).toContain("hello-v1-e4: succeeded after 49 ms: v1 serves on every proxy");
    expect(code).toBe(0);
    expect(deploys.asked.at(-1)).toEqual({ app: "hello", count: 3 });
  });

  it.each([
    [1, { state: "rolled-back", code: "start-failed" }],
    [3, { state: "rolled-back", code: "wait-timeout" }],
    [5, { state: "aborted", code: "aborted" }],
  ] as const)("return %d of a restart that %o", async (expected, { state, code: reason }) => {
    deploys.answer = { code: "accepted", app: APP, rollout: "hello-v1-e4", release: 1, joined: false };
    const why = { code: reason, message: "it did not", lastLines: [] };
    show({ id: "hello-v1-e4", kind: "restart", from: 1, to: 1, state, reason: why, endedAtMs: 1_049 });
    const { code, stdout } = await start("restart", "hello").ended;
    expect(code).toBe(expected);
    expect(stdout).toContain(
      "next: v1 serves as before; see why with `grapevine explain hello-v1-e4`, then ask again",
    );
  });

  it("return 0 where there is nothing to do", async () => {
    deploys.answer = { code: "unchanged", app: APP, note: "v1 serves with 3 VMs already" };
    const { code, stdout } = await start("scale", "hello", "3").ended;
    expect({ code, stdout }).toEqual({
      code: 0,
      stdout: "hello: v1 serves with 3 VMs already: nothing to do\n",
    });
    const { stdout: json } = await start("scale", "hello", "3", "--json").ended;
    expect(JSON.parse(json)).toMatchObject({ app: "hello", rollout: null, state: "unchanged", exitCode: 0 });
  });

  it("refuse what is no count", async () => {
    const { code, stderr } = await start("scale", "hello", "many").ended;
    expect(code).toBe(2);
    expect(stderr).toContain(
      "the count must be a whole number of VMs, for example `grapevine scale hello 3`",
    );
  });
});
