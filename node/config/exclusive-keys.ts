// Exclusive keys: exclusive, fence and lease of an app file: that two VMs of the app never run at once, and what ends one nobody can reach.

import { type ZodType, z } from "zod";
import type { VolumeSpec } from "../../mesh/index.ts";
import { type AppSpec, type DeploySpec, durationShape, told } from "../../mesh/keys.ts";
import { LEASE_MS_MAX, LEASE_MS_MIN } from "../lease.ts";
import type { KeyProblem, TimeRange } from "./key-shapes.ts";
import { volumesProblem } from "./volume-keys.ts";

const leaseRange: TimeRange = { minMs: LEASE_MS_MIN, maxMs: LEASE_MS_MAX };
/** More than the default of `[stop] timeout`, by what may be gone of it when it is renewed. */
const LEASE_DEFAULT_MS = 15_000;

const exclusiveText = "must be true or false, for example exclusive = true";
const fenceText = 'must be "person" or "lease", for example fence = "lease"';

/** As they are written. */
export interface ExclusiveKeys {
  readonly volumes: readonly VolumeSpec[];
  readonly exclusive?: boolean | undefined;
  readonly fence?: "person" | "lease" | undefined;
  readonly lease?: number | undefined;
}

export const exclusiveShape: ZodType<boolean | undefined> = told(z.boolean(exclusiveText).optional(), {
  type: "boolean",
  unset: '`true` with `strategy = "handoff"`, else `false`',
  means:
    'Two of its VMs never run at once, see [An app that never runs twice](#an-app-that-never-runs-twice). Without a strategy it has `strategy = "handoff"`.',
});

export const fenceShape: ZodType<"person" | "lease" | undefined> = told(
  z.enum(["person", "lease"], fenceText).optional(),
  {
    type: '`"person"`, `"lease"`',
    unset: '`"person"`',
    means:
      "Of an exclusive app: what ends a VM on a host that nobody reaches, so that another one may start: your `grapevine host fence HOST`, or the VM's lease.",
  },
);

export const leaseShape: ZodType<number | undefined> = told(
  durationShape({ ...leaseRange, example: 'lease = "10s"' }).optional(),
  {
    unset: '`"15s"` with `fence = "lease"`',
    means:
      'Of `fence = "lease"`: a VM is killed so long after its host last reached a majority of the voters.',
    raised: "the app is back elsewhere later",
    lowered: "a shorter pause of the voters, or of the machine, kills the VM; more questions to the voters",
  },
);

/** What the keys make of a spec. */
export function exclusiveOf({
  exclusive,
  fence,
  lease,
  volumes,
}: ExclusiveKeys): Pick<AppSpec, "exclusive" | "fence" | "volumes"> {
  return {
    ...(volumes.length === 0 ? {} : { volumes }),
    ...(exclusive === true ? { exclusive } : {}),
    ...(fence === "lease" ? { fence: { leaseMs: lease ?? LEASE_DEFAULT_MS } } : {}),
  };
}

/** The strategy that was written, or what holds without one. */
export function strategyOr(
  strategy: DeploySpec["strategy"] | undefined,
  { exclusive, volumes }: Pick<ExclusiveKeys, "exclusive" | "volumes">,
): DeploySpec["strategy"] {
  return strategy ?? (exclusive === true || volumes.length > 0 ? "handoff" : "rolling");
}

/** Of keys that are written; null: they can be meant. */
export function exclusiveKeysProblem(
  { exclusive, fence, lease, volumes }: ExclusiveKeys,
  { strategy }: Pick<DeploySpec, "strategy">,
): KeyProblem | null {
  if (exclusive === false && volumes.length > 0) {
    const message = "is false, and an app with [[volumes]] is exclusive: remove it";
    return { key: "exclusive", message };
  }
  if (exclusive === false && strategy === "handoff") {
    const message =
      'is false, and strategy = "handoff" is for apps that are: remove it, or write another strategy';
    return { key: "exclusive", message };
  }
  if (lease !== undefined && fence !== "lease")
    return { key: "lease", message: 'is of fence = "lease" alone: remove it, or write fence = "lease"' };
  return null;
}

/** Of a spec, whatever way it came. */
export function exclusiveProblem({
  exclusive,
  fence,
  volumes = [],
  deploy: { strategy },
}: Pick<AppSpec, "exclusive" | "fence" | "volumes" | "deploy">): KeyProblem | null {
  const why = exclusive === true ? "exclusive = true has" : volumes.length > 0 ? "[[volumes]] have" : null;
  if (why !== null && strategy !== "handoff") {
    const message = `is "${strategy}", which runs two VMs at once, and ${why} them never: remove it, or write strategy = "handoff"`;
    return { key: "deploy.strategy", message };
  }
  const ofVolumes = volumesProblem(volumes);
  if (ofVolumes !== null) return ofVolumes;
  if (fence === undefined) return null;
  if (strategy !== "handoff") {
    const message = "is of an app that never runs twice: remove it, or write exclusive = true";
    return { key: "fence", message };
  }
  if (fence.leaseMs >= LEASE_MS_MIN && fence.leaseMs <= LEASE_MS_MAX) return null;
  const message = `must be from ${LEASE_MS_MIN} to ${LEASE_MS_MAX} ms; found ${fence.leaseMs}`;
  return { key: "lease", message };
}
