import { expect, test } from "vitest";
import { type AppRecord, appName, memberName, type Rollout } from "../../mesh/index.ts";
import type { AppView } from "./app-view.ts";
import { RolloutCounters } from "./rollout-counters.ts";
import { rolloutMetrics } from "./rollout-metrics.ts";

const [US, THEM] = [memberName("host-1"), memberName("host-2")];

function record(driver: Rollout["driver"], state: Rollout["state"], more: Partial<Rollout> = {}): AppRecord {
  const rollout = { id: "web-v2", kind: "deploy", driver, state, ...more } as Rollout;
  return { app: appName("web"), rollout } as AppRecord;
}

function after(...records: readonly AppRecord[]): RolloutCounters {
  const counters = new RolloutCounters(US);
  for (const [at, next] of records.entries()) counters.committed(records[at - 1] ?? null, next);
  return counters;
}

test("who brings a rollout to its end counts it, once, and nobody else does", () => {
  const ended = [record(THEM, "running"), record(US, "running"), record(US, "rolled-back")];
  const counters = after(...ended, record(US, "rolled-back"));
  expect(counters.ended("deploy", "rolled-back")).toBe(1);
  expect(counters.takeovers).toBe(1);
  expect(after(record(US, "running"), record(THEM, "succeeded")).ended("deploy", "succeeded")).toBe(0);
});

test("a deploy that was superseded is counted in the commit that begins the next one", () => {
  const superseded = { id: "web-v2", state: "aborted" } as const;
  const counters = after(record(US, "running"), record(US, "running", { id: "web-v3", superseded }));
  expect([counters.ended("deploy", "aborted"), counters.takeovers]).toEqual([1, 0]);
});

test("a rollout that is submitted here after another's is no takeover", () => {
  const repair = record(US, "running", { id: "web-repair-9", kind: "repair" });
  const counters = after(record(THEM, "succeeded"), repair, {
    ...repair,
    rollout: record(US, "succeeded", { id: "web-repair-9", kind: "repair" }).rollout,
  });
  expect([counters.takeovers, counters.ended("repair", "succeeded")]).toEqual([0, 1]);
});

test("rollouts that wait longest are named, no more than a bounded number, and all are counted", () => {
  const views = Array.from({ length: 300 }, (_, at) => ({
    app: appName(`app-${at}`),
    excluded: at === 0 ? [{ proxy: memberName("proxy-1"), by: "person" }] : [],
    rollout: {
      kind: "deploy",
      state: "running",
      direction: "forward",
      step: { kind: "cordon", forMs: at * 1_000, waitingFor: [{}] },
    },
  })) as unknown as readonly AppView[];
  const lines = rolloutMetrics(views, new RolloutCounters(US)).split("\n");
  const steps = lines.filter((line) => line.startsWith("grapevine_rollout_step_seconds{"));
  expect(steps).toHaveLength(100);
  expect(steps[0]).toBe(
    'grapevine_rollout_step_seconds{app="app-299",kind="deploy",direction="forward",step="cordon"} 299',
  );
  expect(lines).toContain("grapevine_rollouts_running 300");
  expect(lines).toContain('grapevine_rollout_exclusions{by="person"} 1');
  expect(lines).toContain('grapevine_rollouts_ended_total{kind="deploy",state="succeeded"} 0');
});
