// Submit to: a deploy in a simulated cluster, by whoever drives there.

import { type Submission, submitDeploy } from "../../node/deploy/core/submit.ts";
import { specOf } from "../../node/deploy/testing/specs.ts";
import type { Scenario } from "./scenarios.ts";
import type { SimCluster } from "./sim-cluster.ts";
import { SIM_APP } from "./sim-driver.ts";

interface Deployed {
  readonly count: number;
  readonly hash: string;
  readonly deploy: Scenario["deploy"];
  readonly supersedes?: boolean;
}

export function submitTo(
  cluster: SimCluster,
  { gate, spec: more = {} }: Pick<Scenario, "gate" | "spec">,
  { count, hash, deploy, supersedes = false }: Deployed,
): Submission {
  const past = gate === "off" ? { gate } : {};
  const { cutover: _cutover, ...fast } = deploy;
  const asked = cluster.broken === "atomic-hold" ? fast : deploy;
  const spec = specOf("hello", { count, deploy: asked, ...past, ...more });
  return cluster.submit(({ machine }) => {
    const apps = cluster.committed === null ? [] : [cluster.committed];
    const context = machine.context(cluster.time.nowMs);
    return submitDeploy({ app: SIM_APP, spec, specHash: hash, apps, supersedes }, context);
  });
}
