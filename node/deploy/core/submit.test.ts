import { describe, expect, it } from "vitest";
import {
  type AppRecord,
  type AppSpec,
  appName,
  type CommittedApp,
  memberName,
  vmName,
} from "../../../mesh/index.ts";
import { specOf } from "../testing/specs.ts";
import type { CommitContext } from "./commits.ts";
import type { HostFact } from "./facts.ts";
import { type Submission, submitDeploy } from "./submit.ts";

function context(hosts: readonly string[] = ["host-1"]): CommitContext {
  const facts = hosts.map((name): [HostFact["host"], HostFact] => {
    const host = memberName(name);
    return [host, { host, open: true, vms: 0 }];
  });
  return {
    driver: memberName("host-1"),
    wallMs: 1,
    facts: {
      vms: new Map(),
      acks: new Map(),
      counts: new Map(),
      bakedMs: 0,
      gates: new Map(),
      proxies: new Map(),
      hosts: new Map(facts),
      lost: new Set(),
      expected: new Set(),
    },
  };
}

function submit(
  spec: AppSpec,
  apps: readonly CommittedApp[] = [],
  where: CommitContext = context(),
): Submission {
  return submitDeploy({ app: appName(spec.name), spec, specHash: "hash", apps }, where);
}

function begun(submission: Submission): AppRecord {
  if (submission.code !== "begin") throw new Error(submission.code);
  return submission.record;
}

/** As it is after a rollout: all that starts serves. */
function ended(record: AppRecord): AppRecord {
  const vms = record.vms.map((vm) => ({ ...vm, phase: "serving" as const }));
  const rollout =
    record.rollout === null ? null : { ...record.rollout, state: "succeeded" as const, step: null };
  return { ...record, vms, rollout, current: record.lastRelease };
}

describe("submitDeploy()", () => {
  it("commits the first step with the rollout", () => {
    const record = begun(submit(specOf("hello", { count: 2 })));
    expect(record.rollout).toMatchObject({ id: "hello-v1", from: null, to: 1, step: { kind: "start" } });
    expect(record.vms.map((vm) => vm.vm)).toEqual(["hello-v1-1", "hello-v1-2"]);
    expect(record.releases[0]?.vmsNamed).toBe(2);
  });

  it("keeps the names of both releases until the rollout is over", () => {
    const first = ended(begun(submit(specOf("hello", { hostnames: ["old.test"] }))));
    const next = submit(specOf("hello", { hostnames: ["new.test"] }), [{ epoch: 3, record: first }]);
    expect(begun(next).hostnames).toEqual(["old.test", "new.test"]);
  });

  it("goes back to what serves, also when that is not the current release", () => {
    const first = ended(begun(submit(specOf("hello"))));
    const vms = [{ ...first.vms[0]!, vm: vmName("hello-v7-1"), release: 7 }];
    const release = { ...first.releases[0]!, number: 7 };
    const mixed = { ...first, vms, lastRelease: 7, releases: [...first.releases, release] };
    expect(begun(submit(specOf("hello"), [{ epoch: 9, record: mixed }])).rollout).toMatchObject({
      from: 7,
      to: 8,
      targets: ["hello-v7-1"],
    });
  });

  it("keeps of the releases those that are needed and the newest", () => {
    let record = ended(begun(submit(specOf("hello"))));
    for (let count = 0; count < 6; count += 1) {
      record = ended(begun(submit(specOf("hello"), [{ epoch: 3, record: { ...record, vms: [] } }])));
    }
    expect(record.releases.map((release) => release.number)).toEqual([4, 5, 6, 7]);
  });

  it("refuses more VMs than a record may hold, a record that would outgrow its entry, and a cluster without hosts", () => {
    const big = ended(begun(submit(specOf("hello", { count: 100 }))));
    expect(submit(specOf("hello", { count: 100 }), [{ epoch: 3, record: big }])).toMatchObject({
      code: "invalid",
      message: expect.stringContaining("lower count"),
    });
    const command = Array.from({ length: 14 }, () => "v".repeat(3950));
    expect(submit(specOf("hello", { command }))).toMatchObject({
      code: "invalid",
      message: expect.stringMatching(/would need \d+ bytes/),
    });
    expect(submit(specOf("hello"), [], context([]))).toMatchObject({
      code: "invalid",
      message: expect.stringContaining("no host is connected"),
    });
  });
});
