// What is committed fits, however full the record is of what was told of its steps.

import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { type AppRecord, appName, encodeAppRecord, type RolloutStepReport } from "../../../mesh/index.ts";
import { specOf } from "../testing/specs.ts";
import { HEALTHY } from "../testing/vm-states.ts";
import { World } from "../testing/world.ts";
import { BYTES_PER_JSON_CHAR_MAX, fitted, RECORD_BYTES_MAX } from "./commits.ts";
import { submitAbort, submitPromote } from "./submit.ts";
import { submitPause } from "./submit-pause.ts";

const APP = appName("hello");
const bluegreen = { strategy: "bluegreen", approval: "manual", drainTimeoutMs: 1, waitTimeoutMs: 1 } as const;

/** A deploy that waits for approval. */
function waiting(): World {
  const world = new World({ hosts: 2, proxies: 1 });
  world.submit(specOf("hello"), "one");
  world.cooperate();
  world.submit(specOf("hello", { deploy: bluegreen }), "two");
  for (const { vm } of world.committed?.record.vms ?? []) world.say(vm, HEALTHY);
  for (const name of world.proxies.keys()) {
    world.apply(name);
    world.answer(name);
    world.deliver(name);
  }
  return world;
}

/** With a history that leaves no byte. */
function full(record: AppRecord): AppRecord {
  const rollout = record.rollout!;
  const last = rollout.history.at(-1)!;
  const withReports = (reports: readonly RolloutStepReport[]) => ({
    ...record,
    rollout: { ...rollout, history: reports },
  });
  const reports: RolloutStepReport[] = [];
  const roomOf = () => RECORD_BYTES_MAX - encodeAppRecord(withReports(reports)).length;
  while (roomOf() > 1_200) reports.push({ ...last, number: reports.length + 1, outcome: "x".repeat(700) });
  const left = roomOf();
  return withReports(
    reports.map((report, at) => {
      const more = Math.floor(left / reports.length) + (at === 0 ? left % reports.length : 0);
      return { ...report, outcome: report.outcome + "x".repeat(more) };
    }),
  );
}

describe("fitted()", () => {
  it("has made room for whatever a person asks of a record that is full", () => {
    const world = waiting();
    expect(world.committed?.record.rollout?.step?.kind).toBe("approve");
    const committed = { epoch: 9, record: full(world.committed!.record) };
    expect(encodeAppRecord(committed.record).length).toBe(RECORD_BYTES_MAX);
    const context = world.machine.context(world.nowMs);
    const submissions = [
      submitPause(committed, APP, context),
      submitPromote(committed, APP),
      submitAbort(committed, APP, context),
    ];
    for (const submission of submissions) {
      if (submission.code !== "begin") throw new Error(submission.code);
      expect(encodeAppRecord(submission.record).length).toBeLessThanOrEqual(RECORD_BYTES_MAX);
    }
  });

  it("drops who answered the last step too before it is too long", () => {
    const { record } = waiting().committed!;
    const rollout = { ...record.rollout!, history: record.rollout!.history.slice(-1) };
    const [release] = record.releases;
    const pad = RECORD_BYTES_MAX - encodeAppRecord({ ...record, rollout }).length;
    const spec = { ...release!.spec, command: Array.from({ length: 16 }, () => "x".repeat(pad / 16)) };
    const next = fitted({
      ...record,
      rollout,
      releases: [{ ...release!, spec }, ...record.releases.slice(1)],
    });
    expect(encodeAppRecord(next).length).toBeLessThanOrEqual(RECORD_BYTES_MAX);
    expect(next.rollout!.history.map(({ asked }) => asked)).toEqual([undefined]);
  });
});

it("of whatever a record may hold the encoding has no more bytes than the estimate that spares it", () => {
  const value = fc.jsonValue({ stringUnit: "grapheme" });
  fc.assert(
    fc.property(fc.dictionary(fc.string({ unit: "grapheme" }), value), (record) => {
      const bytesMax = BYTES_PER_JSON_CHAR_MAX * JSON.stringify(record).length;
      expect(encodeAppRecord(record as unknown as AppRecord).length).toBeLessThanOrEqual(bytesMax);
    }),
  );
});
