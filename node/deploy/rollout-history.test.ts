import { mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { type AppRecord, appName, encodeAppRecord } from "../../mesh/index.ts";
import { fitted, RECORD_BYTES_MAX } from "./core/commits.ts";
import { ROLLOUTS_KEPT_MAX } from "./core/kept-rollouts.ts";
import { RolloutHistory } from "./rollout-history.ts";
import { storiesOf } from "./stories.ts";
import { specOf } from "./testing/specs.ts";
import { answerAll } from "./testing/stories.ts";
import { World } from "./testing/world.ts";

const APP = appName("hello");

let folder: string;
let warned: string[];
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "history-"));
  warned = [];
});
afterEach(() => rmSync(folder, { recursive: true }));

function newHistory(): RolloutHistory {
  return new RolloutHistory(folder, { warn: (_facts: unknown, text?: string) => warned.push(text ?? "") });
}

/** The records of so many deploys, commit by commit. */
function commitsOf(deploys: number): { readonly world: World; readonly records: readonly AppRecord[] } {
  const world = new World({ hosts: 2, proxies: 1 });
  const records: AppRecord[] = [];
  const note = () => {
    const record = world.committed?.record;
    if (record !== undefined && record !== records.at(-1)) records.push(record);
    return false;
  };
  for (let index = 0; index < deploys; index += 1) {
    world.submit(specOf("hello"), `hash-${index}`);
    answerAll(world, { until: note });
    note();
  }
  return { world, records };
}

const idsOf = async (history: RolloutHistory) => (await history.of(APP)).map(({ rollout }) => rollout.id);

describe("RolloutHistory", () => {
  it("keeps the rollouts that it saw, whole, also for the agent that starts next", async () => {
    const { world, records } = commitsOf(3);
    const history = newHistory();
    for (const record of records) history.note({ record });
    expect(await idsOf(history)).toEqual(["hello-v1", "hello-v2", "hello-v3"]);
    await history.stop();
    const next = newHistory();
    expect(await idsOf(next)).toEqual(["hello-v1", "hello-v2", "hello-v3"]);
    const view = world.machine.view(world.nowMs);
    const told = await storiesOf(view, next, world.machine.context(0).driver);
    expect(told?.rollouts.map(({ rollout, state, steps }) => `${rollout} ${state} ${steps.length}`)).toEqual([
      "hello-v1 succeeded 2",
      "hello-v2 succeeded 4",
      "hello-v3 succeeded 4",
    ]);
    expect(told?.rollouts[1]?.steps[1]).toMatchObject({ kind: "serve", asked: [{ who: "proxy-1", ms: 7 }] });
    expect(readdirSync(join(folder, "rollouts"))).toEqual(["hello"]);
  });

  it("keeps a rollout whose end it did not see as it saw it last, and is told its end later", async () => {
    const { records } = commitsOf(2);
    const first = records.filter(({ rollout }) => rollout?.id === "hello-v1");
    const history = newHistory();
    history.note({ record: first[0]! });
    history.note({ record: records.at(-1)! });
    expect((await history.of(APP)).map(({ rollout }) => rollout.state)).toEqual(["running", "succeeded"]);
    const late = newHistory();
    late.note({ record: first.at(-1)! });
    expect((await late.of(APP)).map(({ rollout }) => rollout.state)).toEqual(["succeeded", "succeeded"]);
    await late.stop();
  });

  it("keeps of a deploy that was superseded how it ended, which the record of the next one tells", async () => {
    const { world } = commitsOf(1);
    const history = newHistory();
    const note = () => {
      history.note({ record: world.committed!.record });
      return false;
    };
    world.submit(specOf("hello"), "next");
    answerAll(world, { until: () => note() || world.committed?.record.rollout?.step?.kind === "serve" });
    world.submit(specOf("hello"), "another", true);
    answerAll(world, { until: note });
    note();
    await history.stop();
    const told = await storiesOf(
      world.machine.view(world.nowMs),
      newHistory(),
      world.machine.context(0).driver,
    );
    const [superseded, last] = told?.rollouts ?? [];
    expect(superseded).toMatchObject({ rollout: "hello-v2", state: "aborted", next: null });
    expect(superseded?.endedAtMs).toBe(last?.startedAtMs);
    expect(superseded?.steps.map(({ kind, back }) => `${kind} ${back}`)).toEqual([
      "start false",
      "serve false",
      "cordon true",
      "stop true",
    ]);
    expect(superseded?.steps.at(-1)?.outcome).toContain("gone after");
    expect(last).toMatchObject({
      rollout: "hello-v3",
      superseded: { rollout: "hello-v2", state: "aborted" },
    });
  });

  it("keeps the end of one that stood still for a while, also for the agent that starts next", async () => {
    const { records } = commitsOf(2);
    const at = records.findIndex(({ rollout }) => rollout?.id === "hello-v2") + 1;
    const paused = { ...records[at]!, rollout: { ...records[at]!.rollout!, state: "paused" as const } };
    const history = newHistory();
    for (const record of records.slice(0, at)) history.note({ record });
    history.note({ record: paused });
    expect((await history.of(APP)).map(({ rollout }) => rollout.state)).toEqual(["succeeded", "paused"]);
    history.note({ record: records[at]! });
    expect((await history.of(APP)).map(({ rollout }) => rollout.state)).toEqual(["succeeded", "running"]);
    for (const record of records.slice(at + 1)) history.note({ record });
    await history.stop();
    expect((await newHistory().of(APP)).map(({ rollout }) => rollout.state)).toEqual([
      "succeeded",
      "succeeded",
    ]);
  });

  it("keeps the steps for which the record has no room any more", async () => {
    const { records } = commitsOf(1);
    const history = newHistory();
    for (const record of records) {
      const cut = { ...record.rollout!, history: record.rollout!.history.slice(-1) };
      history.note({ record: { ...record, rollout: cut } });
    }
    const [kept] = await history.of(APP);
    expect(kept?.rollout.history.map(({ number }) => number)).toEqual([1, 2]);
  });

  it("drops the oldest over its bound", async () => {
    const record = commitsOf(1).records.at(-1)!;
    const history = newHistory();
    for (let index = 1; index <= ROLLOUTS_KEPT_MAX + 3; index += 1) {
      const rollout = { ...record.rollout!, id: `hello-v${index}`, startedAtMs: index };
      history.note({ record: { ...record, rollout } });
    }
    const ids = await idsOf(history);
    expect(ids).toHaveLength(ROLLOUTS_KEPT_MAX);
    expect([ids[0], ids.at(-1)]).toEqual(["hello-v4", `hello-v${ROLLOUTS_KEPT_MAX + 3}`]);
  });

  it("begins anew where its file cannot be read, and says so", async () => {
    const { records } = commitsOf(1);
    const history = newHistory();
    for (const record of records) history.note({ record });
    await history.stop();
    writeFileSync(join(folder, "rollouts", "hello"), "no history");
    const next = newHistory();
    next.note({ record: records.at(-1)! });
    expect(await idsOf(next)).toEqual(["hello-v1"]);
    expect(warned).toContain("the history cannot be read: it begins anew");
  });
});

describe("fitted()", () => {
  it("drops who answered the oldest steps before it drops a step", () => {
    const record = commitsOf(1).records.at(-1)!;
    const [report] = record.rollout!.history;
    const outcome = "x".repeat(700);
    const history = Array.from({ length: 64 }, (_, index) => ({
      ...report!,
      number: index + 1,
      outcome,
      asked: Array.from({ length: 16 }, () => report!.asked![0]!),
    }));
    const fit = fitted({ ...record, rollout: { ...record.rollout!, history } });
    expect(encodeAppRecord(fit).length).toBeLessThanOrEqual(RECORD_BYTES_MAX);
    expect(fit.rollout!.history).toHaveLength(64);
    const told = fit.rollout!.history.map(({ asked }) => asked !== undefined);
    expect(told[0]).toBe(false);
    expect(told.at(-1)).toBe(true);
    expect(told).toEqual([...told].sort());
  });
});
