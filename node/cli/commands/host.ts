// host forget, fence, cordon, uncordon: a person's word on a host: that it is gone for good, that it is off, or that nothing new shall go
// there.

import { describeDuration, parseDuration } from "../../../mesh/words.ts";
import type { HostFencedView } from "../../api/host-fence.ts";
import type { HostForgottenView } from "../../api/hosts.ts";
import { hostCordonShape, hostFencedShape, hostForgottenShape } from "../answers.ts";
import { ApiError } from "../api-client.ts";
import { EXIT, type ExitCode } from "../exit-code.ts";
import { type ClientOptions, print, printJson, UsageError, withAgent } from "../session.ts";
import { plainText } from "../table.ts";

const TIMEOUT_DEFAULT = "5s";
/** The agent answers when the time is over: it gets this much more, for asking others first too. */
const ANSWER_MARGIN_MS = 8_000;

export interface ForgetOptions extends ClientOptions {
  readonly timeout?: string;
}

export function forgetHost(host: string, options: ForgetOptions): Promise<ExitCode> {
  return withAgent("host forget", options, async ({ client, signal }) => {
    const { timeout = TIMEOUT_DEFAULT } = options;
    const timeoutMs = parseDuration(timeout);
    if (timeoutMs === undefined)
      throw new UsageError(`--timeout must be a duration with its unit, for example 5s; found ${timeout}`);
    const path = `/v1/hosts/${encodeURIComponent(host)}/forget?timeout=${encodeURIComponent(timeout)}`;
    const request = { method: "POST", path, answerTimeoutMs: timeoutMs + ANSWER_MARGIN_MS } as const;
    const view = hostForgottenShape.parse(await client.json(request, signal).catch(timedOutView));
    const exitCode = view.missing.length === 0 ? EXIT.done : EXIT.doneExcept;
    if (options.json === true) printJson({ ...view, exitCode });
    else for (const line of forgottenLines(view, timeoutMs)) print(plainText(line));
    return exitCode;
  });
}

export function setCordon(
  verb: "cordon" | "uncordon",
  host: string,
  options: ClientOptions,
): Promise<ExitCode> {
  return withAgent(`host ${verb}`, options, async ({ client, signal }) => {
    const path = `/v1/hosts/${encodeURIComponent(host)}/${verb}`;
    const view = hostCordonShape.parse(await client.json({ method: "POST", path }, signal));
    const said = view.cordoned
      ? `nothing new is placed on ${view.host}; what runs there runs on; \`grapevine host drain ${view.host}\` moves it`
      : `${view.host} gets VMs again`;
    if (options.json === true) printJson(view);
    else print(plainText(said));
    return EXIT.done;
  });
}

/** Each app's record is changed by itself, and each may have to wait for a voter; and all members are asked before. */
const FENCE_ANSWER_TIMEOUT_MS = 60_000;

export interface FenceOptions extends ClientOptions {
  readonly forceUnsafe?: boolean;
}

export function fenceHost(host: string, options: FenceOptions): Promise<ExitCode> {
  return withAgent("host fence", options, async ({ client, signal }) => {
    const query = options.forceUnsafe === true ? "?force=unsafe" : "";
    const path = `/v1/hosts/${encodeURIComponent(host)}/fence${query}`;
    const request = { method: "POST", path, answerTimeoutMs: FENCE_ANSWER_TIMEOUT_MS } as const;
    const view = hostFencedShape.parse(await client.json(request, signal));
    if (options.json === true) printJson(view);
    else
      for (const line of options.forceUnsafe === true ? forcedLines(view) : fencedLines(view))
        print(plainText(line));
    return EXIT.done;
  });
}

function forcedLines({ host, apps, vms }: HostFencedView): readonly string[] {
  const names = vms.filter(({ app }) => apps.includes(app)).map(({ vm }) => vm);
  if (apps.length === 0) return [`no app that never runs twice waits for ${host}: nothing changed`];
  return [
    `${host} is not waited for by ${apps.join(", ")}${names.length === 0 ? "" : `, though these may run there: ${names.join(", ")}`}`,
    "at risk: two processes of such an app at once, and what they both write. The records say that it was forced; it is over once the host is back",
  ];
}

function fencedLines({ host, apps, vms, silent }: HostFencedView): readonly string[] {
  const names = vms.map(({ vm }) => vm).join(", ");
  if (apps.length === 0) return [`no app has anything on ${host}: no rollout waits for its gate`];
  return [
    `${host} is fenced: rollouts of ${apps.join(", ")} do not ask its gate${names === "" ? "" : `, and count as stopped: ${names}`}`,
    "it must be off: what still runs there is reached by whoever still reaches it. It is over once the host is back",
    ...(silent.length === 0 ? [] : [`did not say whether they hear it: ${silent.join(", ")}`]),
  ];
}

/** It is done: that not all have heard of it yet is an answer, not a failure. */
function timedOutView(error: unknown): unknown {
  if (error instanceof ApiError && error.code === "timed-out") return error.answer;
  throw error;
}

function forgottenLines(view: HostForgottenView, timeoutMs: number): readonly string[] {
  const { host, forgotten, vms, silent, acks, missing } = view;
  const names = vms.map(({ vm }) => vm).join(", ");
  return [
    forgotten === "before"
      ? `${host} was forgotten before`
      : `${host} is forgotten: its entries are gone here and at ${acks.length} of ${acks.length + missing.length} others; a new start of it is welcome`,
    ...(vms.length === 0 ? [] : [`nobody routes to its VMs any more, which records still name: ${names}`]),
    ...(silent.length === 0 ? [] : [`did not say whether they hear it: ${silent.join(", ")}`]),
    ...missing.map(({ name, role, why }) => `missing: ${role} ${name}: ${why}`),
    ...(missing.length === 0
      ? []
      : [`not heard by all within ${describeDuration(timeoutMs)}; they will hear of it when they are back`]),
  ];
}
