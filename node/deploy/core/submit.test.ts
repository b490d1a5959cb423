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
import { HeardCounts } from "./canary/heard-counts.ts";
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
      counts: new HeardCounts(),
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

  it("takes a submission whose answer was lost for what it began, also after its end; the same spec of another is a new release", () => {
    const app = appName("hello");
    const ask = (submission: string, apps: readonly CommittedApp[] = []) =>
      submitDeploy({ app, spec: specOf("hello"), specHash: "salted", submission, apps }, context());
    const record = begun(ask("submission-number-1"));
    const again = { code: "joined", rollout: { id: "hello-v1", to: 1 } };
    expect(ask("submission-number-1", [{ epoch: 1, record }])).toEqual(again);
    const over = ended(record);
    expect(ask("submission-number-1", [{ epoch: 2, record: over }])).toEqual(again);
    const next = begun(ask("submission-number-2", [{ epoch: 2, record: over }]));
    expect(next.rollout?.id).toBe("hello-v2");
    // Another deploy runs by then.
    expect(ask("submission-number-1", [{ epoch: 3, record: next }])).toEqual(again);
  });

  it("refuses a release for which another would drop out of the record while VMs of it are kept", () => {
    let record = ended(begun(submit(specOf("hello"))));
    for (const _again of [1, 2]) {
      const next = begun(submit(specOf("hello"), [{ epoch: 1, record }]));
      // It went back, and a silent proxy keeps what it brought.
      const vms = next.vms.map((vm) =>
        vm.phase === "starting" ? { ...vm, phase: "cordoned" as const } : vm,
      );
      record = { ...ended(next), vms, current: 1 };
    }
    expect(submit(specOf("hello"), [{ epoch: 1, record }]).code).toBe("begin");
    const third = vmName("hello-v4-1");
    const cordoned = { ...record.vms[1], vm: third, release: 4 } as AppRecord["vms"][number];
    const full = { ...record, lastRelease: 4, vms: [...record.vms, cordoned] };
    expect(submit(specOf("hello"), [{ epoch: 1, record: full }])).toMatchObject({
      code: "invalid",
      message: expect.stringContaining("says who keeps hello-v2-1"),
    });
  });
});
