// Deploy keys: [deploy] of an app file: how a new release takes the place of the old one.

import { type ZodType, z } from "zod";
import {
  type AppSpec,
  type DeploySpec,
  durationShape,
  type KeyWords,
  PREVIEWED_HOSTNAME_CHARS_MAX,
  told,
} from "../../mesh/keys.ts";
import { CUTOVERS, describeDuration, STRATEGY_NAMES } from "../../mesh/words.ts";
import { canaryProblem } from "./canary-keys.ts";
import { commandShape } from "./command-shape.ts";
import {
  atomicProblem,
  clientsProblem,
  pinMaxAgeRange,
  pinMaxAgeShape,
  pinMaxAgeWords,
} from "./cutover-keys.ts";
import { type HandoffKeys, handoffProblem } from "./handoff-keys.ts";
import {
  HOUR_MS,
  type KeyProblem,
  notTable,
  type TimeRange,
  upToAnHour,
  waitTimeoutRange,
} from "./key-shapes.ts";

/** Below a second every pause of a process would be silence. */
const silenceRange: TimeRange = { minMs: 1_000, maxMs: HOUR_MS };
/** The old VMs cost memory for so long; a week is for who looks at a release over a weekend. */
const keepOldRange: TimeRange = { minMs: 0, maxMs: 7 * 24 * HOUR_MS };

/** A migration takes minutes; what takes longer than an hour is better run beside a deploy. */
const releaseCommandRange: TimeRange = { minMs: 1_000, maxMs: HOUR_MS };
const RELEASE_COMMAND_TIMEOUT_MS = 300_000;
const releaseCommandShape = commandShape('release_command = ["node", "migrate.js"]');

const strategyText = `must be one of ${STRATEGY_NAMES.join(", ")}, for example strategy = "rolling"`;
const cutoverText = `must be one of ${CUTOVERS.join(", ")}, for example cutover = "sticky"`;
const approvalText = 'must be "auto" or "manual", for example approval = "manual"';

function quantityShape(key: string): ZodType<number> {
  const text = `must be a count of VMs from 0 to 100, or a share of them between 0 and 1, for example ${key} = 1 or ${key} = 0.25`;
  const isQuantity = (value: number) => Number.isInteger(value) || value < 1;
  return z.number(text).min(0, text).max(100, text).refine(isQuantity, text);
}

const quorumText =
  'must be "all" or a share of the proxies above 0 and up to 1, for example ack_quorum = 0.5';
const quorumShape = z.union(
  [z.literal("all"), z.number(quorumText).gt(0, quorumText).lte(1, quorumText)],
  quorumText,
);

/** Of each key in docs/app-file.md. */
const words = {
  strategy: {
    unset: '`"rolling"`, with `exclusive` `"handoff"`',
    means: "in which steps, see [Strategies](#strategies)",
  },
  drain_timeout: {
    raised: "long requests hold the old VM, and the deploy, longer",
    lowered:
      "requests that run longer are cut; the deploy says how many. What runs on a VM has the time that its own release gives: a new file's counts from the next deploy on",
  },
  wait_timeout: {
    raised: "a member that is silent holds the deploy up longer",
    lowered: "a short pause of one proxy sends the rollout back",
  },
  max_surge: {
    type: "count, or share between 0 and 1",
    unset: "`1`",
    means: "rolling, canary alone",
    raised: "more VMs at once beside the old ones, fewer steps",
    lowered: "`0` needs `max_unavailable`",
  },
  max_unavailable: {
    type: "count, or share between 0 and 1",
    unset: "`0`",
    means: "rolling, canary alone",
    raised: "fewer VMs carry the load meanwhile; never all",
  },
  min_healthy_time: {
    unset: '`"0s"`',
    raised: "a deploy takes that much longer with each start step",
    lowered: "a release that breaks in its first seconds gets requests",
  },
  ack_quorum: {
    type: '`"all"`, or a share of the proxies',
    unset: '`"all"`',
    lowered:
      "steps that add (start, standby, serve) go on with fewer proxies; steps that destroy wait for the gates, and for all proxies that can be heard (without a gate: for all)",
  },
  exclude_silent_after: {
    unset: "never",
    means: 'shorter than `wait_timeout`; refused with `gate = "off"`',
    raised: "a proxy that is silent holds steps that add up longer",
    lowered: "a pause of a proxy excludes it for this rollout",
  },
  approval: {
    unset: '`"auto"`',
    means: "bluegreen alone; manual: nothing takes over before `grapevine promote`",
  },
  keep_old: {
    unset: '`"0s"`',
    means: "bluegreen alone",
    raised: "the old VMs need their memory longer",
    lowered: "`grapevine rollback` has to start VMs anew sooner",
  },
  cutover: {
    unset: '`"fast"`',
    means: "how requests change over, see [Cutover](#cutover)",
  },
  pin_max_age: pinMaxAgeWords,
  release_command: {
    unset: "none",
    means: "run once, before anything else, see [Release command](#strategies)",
  },
  release_command_timeout: {
    unset: `\`"${describeDuration(RELEASE_COMMAND_TIMEOUT_MS)}"\``,
    means: "with `release_command` alone",
    raised: "a command that hangs holds the deploy up longer",
    lowered: "a slow one is stopped in the middle of its work",
  },
} satisfies Record<string, KeyWords>;

/** As written: without a strategy the app's other keys say which. */
export type DeployKeys = Omit<DeploySpec, "strategy"> & {
  readonly strategy: DeploySpec["strategy"] | undefined;
};

export const deployShape: ZodType<DeployKeys> = z
  .strictObject(
    {
      strategy: told(z.enum(STRATEGY_NAMES, strategyText).optional(), words.strategy),
      drain_timeout: told(
        durationShape({ ...upToAnHour, example: 'drain_timeout = "30s"' }).default(30_000),
        words.drain_timeout,
      ),
      wait_timeout: told(
        durationShape({ ...waitTimeoutRange, example: 'wait_timeout = "5m"' }).default(300_000),
        words.wait_timeout,
      ),
      max_surge: told(quantityShape("max_surge").optional(), words.max_surge),
      max_unavailable: told(quantityShape("max_unavailable").optional(), words.max_unavailable),
      min_healthy_time: told(
        durationShape({ ...upToAnHour, example: 'min_healthy_time = "10s"' }).optional(),
        words.min_healthy_time,
      ),
      ack_quorum: told(quorumShape.optional(), words.ack_quorum),
      exclude_silent_after: told(
        durationShape({ ...silenceRange, example: 'exclude_silent_after = "30s"' }).optional(),
        words.exclude_silent_after,
      ),
      approval: told(z.enum(["auto", "manual"], approvalText).optional(), words.approval),
      keep_old: told(
        durationShape({ ...keepOldRange, example: 'keep_old = "10m"' }).optional(),
        words.keep_old,
      ),
      cutover: told(z.enum(CUTOVERS, cutoverText).optional(), words.cutover),
      pin_max_age: told(pinMaxAgeShape.optional(), words.pin_max_age),
      release_command: told(releaseCommandShape.optional(), words.release_command),
      release_command_timeout: told(
        durationShape({ ...releaseCommandRange, example: 'release_command_timeout = "5m"' }).optional(),
        words.release_command_timeout,
      ),
    },
    { error: notTable('[deploy] and below it strategy = "rolling"') },
  )
  .transform(({ strategy, drain_timeout, wait_timeout, ...rest }) => ({
    strategy,
    drainTimeoutMs: drain_timeout,
    waitTimeoutMs: wait_timeout,
    ...given("maxSurge", rest.max_surge),
    ...given("maxUnavailable", rest.max_unavailable),
    ...given("minHealthyMs", rest.min_healthy_time),
    ...given("ackQuorum", rest.ack_quorum === "all" || rest.ack_quorum === 1 ? undefined : rest.ack_quorum),
    ...given("excludeSilentAfterMs", rest.exclude_silent_after),
    ...given("approval", rest.approval),
    ...given("keepOldMs", rest.keep_old),
    ...given("cutover", rest.cutover),
    ...given("pinMaxAgeMs", rest.pin_max_age),
    ...given("releaseCommand", rest.release_command),
    ...given("releaseCommandTimeoutMs", releaseCommandTimeoutMs(rest)),
  }));

/** Without a command it is kept as it was written, to be refused. */
function releaseCommandTimeoutMs(keys: {
  readonly release_command?: readonly string[] | undefined;
  readonly release_command_timeout?: number | undefined;
}): number | undefined {
  const { release_command: command, release_command_timeout: timeoutMs } = keys;
  return timeoutMs ?? (command === undefined ? undefined : RELEASE_COMMAND_TIMEOUT_MS);
}

/** What was not written is not in the spec either: its hash is that of a file of before. */
function given<Key extends string, Value>(
  key: Key,
  value: Value | undefined,
): { readonly [K in Key]?: Value } {
  return (value === undefined ? {} : { [key]: value }) as { readonly [K in Key]?: Value };
}

/** What its keys, each fine, do not mean together; null: nothing is wrong. */
export function deployProblem({
  hostnames,
  ...keys
}: HandoffKeys & Pick<AppSpec, "hostnames">): KeyProblem | null {
  const { deploy, count, gate } = keys;
  return (
    strangerProblem(deploy) ??
    canaryProblem(deploy) ??
    clientsProblem(deploy) ??
    atomicProblem(deploy, gate) ??
    handoffProblem(keys) ??
    releaseCommandProblem(deploy) ??
    silenceProblem(deploy, gate) ??
    paceProblem(deploy, count) ??
    previewProblem(deploy, hostnames)
  );
}

function releaseCommandProblem({ releaseCommand, releaseCommandTimeoutMs }: DeploySpec): KeyProblem | null {
  const wrong = releaseCommandShape.optional().safeParse(releaseCommand).error?.issues[0];
  if (wrong !== undefined) return { key: "deploy.release_command", message: wrong.message };
  if ((releaseCommand === undefined) === (releaseCommandTimeoutMs === undefined)) return null;
  const message = 'is of release_command alone: remove it, or write release_command = ["node", "migrate.js"]';
  return { key: "deploy.release_command_timeout", message };
}

const KEYS_OF_ONE = [
  ["maxSurge", "max_surge", ["rolling", "canary"]],
  ["maxUnavailable", "max_unavailable", ["rolling", "canary"]],
  ["approval", "approval", ["bluegreen"]],
  ["keepOldMs", "keep_old", ["bluegreen"]],
] as const satisfies readonly (readonly [keyof DeploySpec, string, readonly DeploySpec["strategy"][]])[];

function strangerProblem(deploy: DeploySpec): KeyProblem | null {
  for (const [field, key, strategies] of KEYS_OF_ONE) {
    const [strategy] = strategies;
    if (deploy[field] === undefined || strategies.some((one) => one === deploy.strategy)) continue;
    const message = `is of strategy = "${strategy}" alone: remove it, or write strategy = "${strategy}"`;
    return { key: `deploy.${key}`, message };
  }
  return null;
}

function silenceProblem(
  { excludeSilentAfterMs: afterMs, waitTimeoutMs }: DeploySpec,
  gate: "on" | "off" = "on",
): KeyProblem | null {
  if (afterMs === undefined) return null;
  const key = "deploy.exclude_silent_after";
  if (gate === "off") {
    const message = 'needs a gate, which refuses what a silent proxy still sends: remove it, or gate = "off"';
    return { key, message };
  }
  if (afterMs < waitTimeoutMs) return null;
  const message = `must be shorter than wait_timeout, which is ${describeDuration(waitTimeoutMs)}: the rollout goes back then`;
  return { key, message };
}

function paceProblem({ maxSurge, maxUnavailable = 0 }: DeploySpec, count: number): KeyProblem | null {
  const down = Number.isInteger(maxUnavailable) ? maxUnavailable : Math.floor(maxUnavailable * count);
  if (down >= count && down > 0) {
    const most = count === 1 ? "remove it, or raise count" : `write at most max_unavailable = ${count - 1}`;
    return { key: "deploy.max_unavailable", message: `leaves none of ${count} VMs to serve: ${most}` };
  }
  if (maxSurge !== 0 || down > 0) return null;
  const message = `is 0, and no VM may be missing (of ${count}): no VM could be replaced; write max_surge = 1, or a larger max_unavailable`;
  return { key: "deploy.max_surge", message };
}

function previewProblem({ strategy }: DeploySpec, hostnames: readonly string[]): KeyProblem | null {
  const long = hostnames.find(({ length }) => length > PREVIEWED_HOSTNAME_CHARS_MAX);
  if (strategy !== "bluegreen" || long === undefined) return null;
  const message = `${long} leaves no room for its preview name: use at most ${PREVIEWED_HOSTNAME_CHARS_MAX} characters with strategy = "bluegreen"`;
  return { key: "hostnames", message };
}

/** Times in the spec by name, with what each may be. */
export function deployTimes(deploy: DeploySpec): readonly (readonly [string, number, TimeRange])[] {
  return [
    ["deploy.drainTimeoutMs", deploy.drainTimeoutMs, upToAnHour],
    ["deploy.waitTimeoutMs", deploy.waitTimeoutMs, waitTimeoutRange],
    ["deploy.minHealthyMs", deploy.minHealthyMs ?? 0, upToAnHour],
    ["deploy.excludeSilentAfterMs", deploy.excludeSilentAfterMs ?? silenceRange.minMs, silenceRange],
    ["deploy.canary.bakeMs", deploy.canary?.bakeMs ?? upToAnHour.minMs, upToAnHour],
    ["deploy.keepOldMs", deploy.keepOldMs ?? 0, keepOldRange],
    ["deploy.pinMaxAgeMs", deploy.pinMaxAgeMs ?? pinMaxAgeRange.minMs, pinMaxAgeRange],
    [
      "deploy.releaseCommandTimeoutMs",
      deploy.releaseCommandTimeoutMs ?? releaseCommandRange.minMs,
      releaseCommandRange,
    ],
  ];
}
