// Judge told: gates and disks, as each member counts them itself.

import { counted } from "../../deploy/core/describe.ts";
import { type Finding, failure, fine, warning } from "./finding.ts";
import type { ToldFacts } from "./gather-cluster.ts";

const GATE_UP = "grapevine_gate_up";
const GATE_DISK = "grapevine_gate_disk_failing";
const SNAPSHOT_FAILED = "grapevine_mesh_snapshot_failed_total";
const VOTER_DISK_FAILED = "grapevine_register_register_disk_failed_total";

export function judgeGates(told: readonly ToldFacts[]): readonly Finding[] {
  const gated = told.filter(({ about }) => about.ok && about.value.hasGate);
  const known = gated.flatMap(({ name, metrics }) => (metrics.ok ? [{ name, of: metrics.value }] : []));
  if (known.length === 0) return [];
  const away = known.filter(({ of }) => of.get(GATE_UP) === 0);
  const failing = known.filter(({ of }) => of.get(GATE_DISK) === 1);
  const up = known.length - away.length;
  return [
    ...(up === 0
      ? []
      : [
          fine("gates", `${up} of ${counted(known.length, "host")} that answer and have one hear their gate`),
        ]),
    ...away.map(({ name }) =>
      failure("gates", {
        found: `no gate speaks to the agent of ${name}`,
        means: "the VMs there get no requests, and no step that takes one of them away can end",
        next: `on ${name}: grapevine gate --config GATE.toml, whose agent_socket is gate.sock in its agent's state_dir`,
      }),
    ),
    ...failing.map(({ name }) =>
      failure("gates", {
        found: `the gate of ${name} cannot write down what it closes`,
        means: "it confirms nothing: steps that stop VMs there wait",
        next: `on ${name}: make room, or mend the disk; it tries each second by itself`,
      }),
    ),
  ];
}

export function judgeDisks(told: readonly ToldFacts[]): readonly Finding[] {
  const known = told.flatMap(({ name, metrics }) => (metrics.ok ? [{ name, of: metrics.value }] : []));
  if (known.length === 0) return [];
  const failed = known.flatMap(({ name, of }) => {
    const snapshots = of.get(SNAPSHOT_FAILED) ?? 0;
    const answers = of.get(VOTER_DISK_FAILED) ?? 0;
    return snapshots + answers === 0 ? [] : [{ name, snapshots, answers }];
  });
  const good = known.length - failed.length;
  return [
    ...(good === 0 ? [] : [fine("disks", `${counted(good, "member")} had no write fail since their start`)]),
    ...failed.map(({ name, snapshots, answers }) =>
      warning("disks", {
        found: `${name} failed to write since its start: ${describe(snapshots, answers)}`,
        means:
          "a full or broken disk, now or before: after a crash it starts from what it last wrote, and a voter that cannot write does not answer",
        next: `on ${name}: its log says whether it is written again; df -h, dmesg`,
      }),
    ),
  ];
}

function describe(snapshots: number, answers: number): string {
  return [
    ...(snapshots === 0 ? [] : [counted(snapshots, "snapshot")]),
    ...(answers === 0 ? [] : [`${counted(answers, "answer")} as a voter`]),
  ].join(", ");
}
