// App file: what a person writes to deploy an app. docs/app-file.md is the reference; the folder beside it is what runs.

import { type ZodType, z } from "zod";
import {
  type AppSpec,
  type CanarySpec,
  type Check,
  type ConfigError,
  durationShape,
  encodeRecord,
  type HoldSpec,
  nameShape,
  parseToml,
  readTomlFile,
  type StopSpec,
  told,
} from "../../mesh/keys.ts";
import { fail, isName, ok, type Result } from "../../mesh/words.ts";
import { ENV_BYTES_MAX, type EnvValues, envBytes } from "../releases/env-blob.ts";
import { canaryShape, withCanary } from "./canary-keys.ts";
import { commandShape, hasNoNul } from "./command-shape.ts";
import { type DeployKeys, deployProblem, deployShape, deployTimes } from "./deploy-keys.ts";
import {
  type ExclusiveKeys,
  exclusiveKeysProblem,
  exclusiveOf,
  exclusiveProblem,
  exclusiveShape,
  fenceShape,
  leaseShape,
  strategyOr,
} from "./exclusive-keys.ts";
import { holdProblem, holdShape, holdTimes } from "./hold-keys.ts";
import {
  idleAfterProblem,
  idleAfterShape,
  idleAfterWords,
  idleOf,
  idleProblem,
  minRunningShape,
  minRunningWords,
} from "./idle-keys.ts";
import { HOUR_MS, notTable, type TimeRange, upToAnHour } from "./key-shapes.ts";
import { volumesShape } from "./volume-keys.ts";

/** What a person submits: the env is put aside before it becomes a record's. */
export type AppSubmission = Omit<AppSpec, "env"> & { readonly env: EnvValues };

/** A validated app file; `deploy` adds the packed folder. */
export type AppFile = Omit<AppSubmission, "bundle">;

/** One spec as a record, without its env: four of them, the VMs and a rollout's history share the 64 KiB of an app's entry. */
const APP_SPEC_BYTES_MAX: number = 8 * 1024;

const HOSTNAME =
  /^(?=.{1,253}$)[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?)*$/;
const ENV_NAME = /^[A-Za-z_][A-Za-z0-9_]{0,255}$/;
const OWN_ENV_NAME = /^(?:HOST|PORT|GRAPEVINE_.*)$/;
const CHECK_PATH = /^\/[\x21-\x7e]{0,1023}$/;
const SIGNALS = ["SIGTERM", "SIGINT", "SIGQUIT", "SIGHUP", "SIGUSR1", "SIGUSR2", "SIGKILL"] as const;

export function readAppFile(file: string): Result<AppFile, readonly ConfigError[]> {
  return named(readTomlFile(file, appFileShape, isSecret), file);
}

/** `readAppFile` for text that is at hand; `file` only names it. */
export function parseAppFile(file: string, text: string): Result<AppFile, readonly ConfigError[]> {
  return named(parseToml(file, text, appFileShape, isSecret), file);
}

/** Of these no message says what was found. */
function isSecret(key: string): boolean {
  return key === "env";
}

const intervalRange: TimeRange = { minMs: 50, maxMs: HOUR_MS };
const timeoutRange: TimeRange = { minMs: 10, maxMs: 60_000 };

type AppFileKeys = Omit<AppFile, "hostnames" | "gate" | "hold" | "idle" | "deploy" | keyof ExclusiveKeys> &
  ExclusiveKeys & {
    readonly hostnames?: readonly string[] | undefined;
    readonly gate: "on" | "off";
    readonly deploy: DeployKeys;
    readonly canary?: CanarySpec | undefined;
    readonly hold?: HoldSpec | undefined;
    readonly min_running?: 0 | undefined;
    readonly idle_after?: number | undefined;
  };

/** What is wrong with a spec that came another way than through a file; null: nothing. */
export function specProblem(spec: AppSubmission): string | null {
  if (!isName(spec.name)) return `name must be a name as in an app file; found ${JSON.stringify(spec.name)}`;
  const tooMany = tooManySettings(spec);
  if (tooMany !== null) return tooMany;
  const parts = { hostnames: hostnamesShape, command: appCommandShape, env: envShape };
  for (const [key, shape] of Object.entries(parts)) {
    const issue = shape.safeParse(Reflect.get(spec, key)).error?.issues[0];
    if (issue !== undefined) return `${key} ${issue.code === "invalid_key" ? envNameText : issue.message}`;
  }
  const idle = idleProblem(spec);
  if (idle !== null) return `${idle.key} ${idle.message}`;
  const problem = holdProblem(spec) ?? exclusiveProblem(spec) ?? deployProblem(spec);
  return timeProblem(spec) ?? problem?.message ?? null;
}

/** A timer that is set for more than 24 days fires at once: a check would be asked without a pause. */
function timeProblem({ checks, stop, deploy, ...rest }: AppSubmission): string | null {
  const times: readonly (readonly [string, number, TimeRange])[] = [
    ...checks.flatMap((check): (readonly [string, number, TimeRange])[] => [
      ["checks.intervalMs", check.intervalMs, intervalRange],
      ["checks.timeoutMs", check.timeoutMs, timeoutRange],
      ["checks.gracePeriodMs", check.gracePeriodMs, upToAnHour],
    ]),
    ["stop.timeoutMs", stop.timeoutMs, upToAnHour],
    ...deployTimes(deploy),
    ...holdTimes(rest),
  ];
  const wrong = times.find(([, ms, { minMs, maxMs }]) => ms < minMs || ms > maxMs);
  if (wrong === undefined) return null;
  const [key, ms, { minMs, maxMs }] = wrong;
  return `${key} must be from ${minMs} to ${maxMs}; found ${ms}`;
}

/** Null: they are not too many. */
function tooManySettings({ env, ...spec }: AppFile): string | null {
  const { byteLength } = encodeRecord(spec);
  if (byteLength > APP_SPEC_BYTES_MAX) {
    return `has ${byteLength} bytes of settings beside env; at most ${APP_SPEC_BYTES_MAX} travel with an app: make command shorter`;
  }
  const bytes = envBytes(env);
  if (bytes <= ENV_BYTES_MAX) return null;
  return `has ${bytes} bytes of env; at most ${ENV_BYTES_MAX} are given to a VM: have the app fetch what is long, or, if it is no secret, put it into a file of its folder`;
}

function named(
  keys: Result<AppFileKeys, readonly ConfigError[]>,
  file: string,
): Result<AppFile, readonly ConfigError[]> {
  if (!keys.ok) return keys;
  const {
    gate,
    canary: _canary,
    hold,
    exclusive,
    fence,
    lease,
    volumes,
    min_running,
    idle_after,
    ...rest
  } = keys.value;
  const hostnames = rest.hostnames ?? [`${rest.name}.localhost`];
  const spec = {
    ...rest,
    deploy: deployOf(keys.value),
    hostnames,
    ...exclusiveOf({ exclusive, fence, lease, volumes }),
    ...(hold === undefined ? {} : { hold }),
    ...idleOf({ min_running, idle_after }),
    ...(gate === "off" ? { gate } : {}),
  };
  const message = tooManySettings(spec);
  return message === null ? ok(spec) : fail([{ file, line: 1, key: "", message }]);
}

/** With what other keys of the file say of it. */
function deployOf({ deploy, canary, ...keys }: AppFileKeys): AppFile["deploy"] {
  return withCanary({ ...deploy, strategy: strategyOr(deploy.strategy, keys) }, canary);
}

const countText = "must be a whole number from 1 to 100, for example count = 2";
const appCommandShape = commandShape('command = ["node", "server.js"]');

const hostnameText = 'must be a lower-case DNS name, for example hostnames = ["hello.localhost"]';
const hostnamesText = 'must be a list of 1 to 32 DNS names, for example hostnames = ["hello.localhost"]';

const hostnamesShape = z
  .array(z.string(hostnameText).regex(HOSTNAME, hostnameText), hostnamesText)
  .min(1, hostnamesText)
  .max(32, hostnamesText)
  .refine((names) => new Set(names).size === names.length, "must name each hostname once: remove the double");

/** A value that is longer is a file. */
const ENV_VALUE_CHARS_MAX = 8_192;
const envText = 'must be a table of texts, numbers or booleans, for example env = { GREETING = "hi" }';
const envValueText = 'must be a text, a number or a boolean, for example GREETING = "hi"';
const envLongText = `must have at most ${ENV_VALUE_CHARS_MAX} characters: have the app fetch what is longer`;
const envNulText = "must have no NUL characters";
const envNumberText =
  'is a number that loses digits: write it as a text, for example ID = "9007199254740993"';
const envNameText = "must be a name of letters, digits and _, for example GREETING";
const ownEnvText = "must be another name: HOST, PORT and GRAPEVINE_… are set by Grapevine itself";

export const envShape: ZodType<Record<string, string>> = z.record(
  z
    .string()
    .regex(ENV_NAME, envNameText)
    .refine((name) => !OWN_ENV_NAME.test(name), ownEnvText),
  z
    .union(
      [
        z.string(envValueText).max(ENV_VALUE_CHARS_MAX, envLongText).refine(hasNoNul, envNulText),
        z.number().refine((value) => !Number.isInteger(value) || Number.isSafeInteger(value), envNumberText),
        z.boolean(),
      ],
      envValueText,
    )
    .transform(String),
  envText,
);

const checkTypeText = 'must be "http" or "tcp", for example type = "http"';
const checkPathText = 'must start with / and have no spaces, for example path = "/healthz"';

const checkShape: ZodType<Check> = z
  .strictObject(
    {
      type: told(z.enum(["http", "tcp"], checkTypeText), { means: "`tcp`: its port accepts" }),
      path: told(z.string(checkPathText).regex(CHECK_PATH, checkPathText).optional(), {
        type: "text that starts with `/`",
        unset: '`"/"`',
        means: "http only: GET this; 2xx and 3xx pass",
      }),
      interval: told(durationShape({ ...intervalRange, example: 'interval = "500ms"' }).default(1_000), {
        raised: "a failure is noticed later, a deploy goes on later",
        lowered: "more load on the app",
      }),
      timeout: told(durationShape({ ...timeoutRange, example: 'timeout = "300ms"' }).default(1_000), {
        raised: "a hanging app is noticed later",
        lowered: "a slow answer counts as a failure",
      }),
      grace_period: told(durationShape({ ...upToAnHour, example: 'grace_period = "5s"' }).default(10_000), {
        raised: "a release that never gets healthy is given up later",
        lowered: "a slow start counts as a failure",
      }),
    },
    { error: notTable('[[checks]] and below it type = "http"') },
  )
  .refine((check) => check.type === "http" || check.path === undefined, {
    path: ["path"],
    message: 'must not be given for type = "tcp": remove it, or write type = "http"',
  })
  .transform(({ type, path, interval, timeout, grace_period }) => ({
    type,
    path: path ?? "/",
    intervalMs: interval,
    timeoutMs: timeout,
    gracePeriodMs: grace_period,
  }));

const signalText = `must be one of ${SIGNALS.join(", ")}, for example signal = "SIGTERM"`;

const stopShape: ZodType<StopSpec> = z
  .strictObject(
    {
      signal: told(z.enum(SIGNALS, signalText).default("SIGTERM"), { means: "what a VM gets first" }),
      timeout: told(durationShape({ ...upToAnHour, example: 'timeout = "10s"' }).default(10_000), {
        raised: "a VM that ignores the signal holds the deploy up longer",
        lowered: "SIGKILL may cut what still shuts down",
      }),
    },
    { error: notTable('[stop] and below it signal = "SIGTERM"') },
  )
  .transform(({ signal, timeout }) => ({ signal, timeoutMs: timeout }));

const checksText = 'must be at most 8 tables, for example [[checks]] and below it type = "http"';

const gateText = 'must be "on" or "off", for example gate = "off"';

const appFileKeys = z.strictObject({
  name: told(nameShape('name = "hello"'), {
    type: "name",
    means:
      "Lower-case letters, digits, inner hyphens, at most 48. The same name later is the same app: a new release of it.",
  }),
  hostnames: told(hostnamesShape.optional(), {
    type: "list of 1 to 32 DNS names",
    unset: '`["NAME.localhost"]`',
    means: "By these the proxies find it. Lower-case, each once; another app's are refused.",
  }),
  count: told(z.int(countText).min(1, countText).max(100, countText).default(1), {
    means: "VMs that shall run. More: a dead host costs a smaller share, a deploy takes longer.",
  }),
  command: told(appCommandShape, {
    means: "Program and arguments, no shell. It must bind to `HOST` and `PORT` of its environment.",
  }),
  env: told(envShape.default({}), {
    type: "table",
    unset: "empty",
    means: "More of its environment, see [`[env]`](#env).",
  }),
  checks: told(z.array(checkShape, checksText).max(8, checksText).default([]), {
    type: "at most 8 tables",
    unset: "none",
    means: "How it is seen that a VM is healthy, see [`[[checks]]`](#checks).",
  }),
  stop: told(stopShape.prefault({}), { means: "How a VM is stopped, see [`[stop]`](#stop)." }),
  deploy: told(deployShape.prefault({}), {
    means: "How a new release takes the place of the old one, see [`[deploy]`](#deploy).",
  }),
  canary: told(canaryShape.optional(), {
    unset: "its defaults",
    means: 'Of `strategy = "canary"`, see [`[canary]`](#canary).',
  }),
  hold: told(holdShape.optional(), {
    unset: "its defaults",
    means: "How much is kept of its requests while those are held, see [`[hold]`](#hold).",
  }),
  min_running: told(minRunningShape.optional(), minRunningWords),
  idle_after: told(idleAfterShape.optional(), idleAfterWords),
  exclusive: exclusiveShape,
  fence: fenceShape,
  lease: leaseShape,
  volumes: volumesShape,
  gate: told(z.enum(["on", "off"], gateText).default("on"), {
    means:
      '`"off"`: proxies dial its VMs themselves, which spares a hop on hosts that have a gate. Lost: a proxy that cannot be heard may still send to an old VM, so each deploy waits for every proxy, and a stale proxy fails requests once that VM is stopped.',
  }),
});

/** Also what docs/app-file.md lists. */
export const appFileShape: ZodType<AppFileKeys> = appFileKeys.superRefine((keys, context) => {
  const deploy = deployOf(keys);
  const problem =
    exclusiveKeysProblem(keys, deploy) ??
    exclusiveProblem({ ...exclusiveOf(keys), deploy }) ??
    deployProblem({ ...keys, deploy, hostnames: keys.hostnames ?? [] }) ??
    idleAfterProblem(keys) ??
    idleProblem({ ...idleOf(keys), gate: keys.gate });
  if (problem === null) return;
  const path = problem.key.split(".");
  const isTold = context.issues.some((issue) => path.every((part, index) => issue.path?.[index] === part));
  if (!isTold) context.addIssue({ code: "custom", path, message: problem.message });
});
