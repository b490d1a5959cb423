// traffic get, traffic set, rollback, pause: where an app's requests go, by a person's word.

import { describeWeights, type Weights, weightsFault } from "../../../mesh/words.ts";
import type { AppView } from "../../deploy/app-view.ts";
import { appViewShape } from "../answers.ts";
import { submitToApp } from "../ask-app.ts";
import { EXIT, type ExitCode } from "../exit-code.ts";
import { type FollowedOptions, followToEnd } from "../follow-to-end.ts";
import { describeShares } from "../narrator.ts";
import { type ClientOptions, print, printJson, UsageError, withAgent } from "../session.ts";
import { formatDuration, formatTable, plainText } from "../table.ts";
import { healthyOf } from "../tables.ts";

export interface RollbackOptions extends FollowedOptions {
  readonly to?: string;
}

export function setTraffic(
  app: string,
  words: readonly string[],
  options: FollowedOptions,
): Promise<ExitCode> {
  return withAgent("traffic set", options, async (session) => {
    const weights = parseWeights(app, words);
    const json = {
      weights: Object.fromEntries(weights.map(({ release, weight }) => [`v${release}`, weight])),
    };
    return followToEnd(session, await submitToApp(session, app, "traffic", json), options);
  });
}

export function rollback(app: string, options: RollbackOptions): Promise<ExitCode> {
  return withAgent("rollback", options, async (session) => {
    const { to } = options;
    if (to !== undefined && !/^v[1-9]\d{0,9}$/.test(to))
      throw new UsageError(`--to must name a release, for example v7; found ${to}`);
    const verb = to === undefined ? "rollback" : `rollback?to=${to}`;
    return followToEnd(session, await submitToApp(session, app, verb), options);
  });
}

export function pause(app: string, options: ClientOptions): Promise<ExitCode> {
  return withAgent("pause", options, async (session) => {
    const { rollout, joined } = await submitToApp(session, app, "pause");
    if (options.json === true) printJson({ app, rollout, state: "paused", exitCode: EXIT.done });
    else
      print(
        `${rollout}: ${joined ? "paused already" : "paused"}; \`grapevine resume ${app}\` goes on, \`grapevine abort ${app}\` goes back`,
      );
    return EXIT.done;
  });
}

export function getTraffic(app: string, options: ClientOptions): Promise<ExitCode> {
  return withAgent("traffic get", options, async ({ client, signal }) => {
    const path = `/v1/apps/${encodeURIComponent(app)}`;
    const view = appViewShape.parse(await client.json({ method: "GET", path }, signal));
    if (options.json === true) printJson(trafficJson(view));
    else for (const line of trafficLines(view)) print(line);
    return EXIT.done;
  });
}

/** "v2=10", "v1=90". Throws `UsageError`, with what to type. */
function parseWeights(app: string, words: readonly string[]): Weights {
  const example = `for example \`grapevine traffic set ${app} v2=10 v1=90\``;
  const weights = words.map((word) => {
    const [, release, weight] = /^v([1-9]\d{0,9})=(\d{1,3})%?$/.exec(word) ?? [];
    if (release === undefined || Number(weight) > 100)
      throw new UsageError(`${word} is no release with a whole percent from 0 to 100: ${example}`);
    return { release: Number(release), weight: Number(weight) };
  });
  const fault = weightsFault(weights);
  if (fault !== null) throw new UsageError(`${describeWeights(weights)}: ${fault}: ${example}`);
  return weights;
}

interface ReleaseTraffic {
  readonly release: string;
  readonly weight: number;
  readonly vms: number;
  readonly healthy: number;
  /** `serving`, or why it could serve: `standby`, `cordoned` of a release that is kept. */
  readonly phase: string;
}

/** Releases with VMs that serve or could, the newest first. */
function releasesOf({ vms, weights, kept }: AppView): readonly ReleaseTraffic[] {
  const could = vms.filter(
    ({ phase, release }) =>
      phase === "serving" || phase === "standby" || (phase === "cordoned" && kept?.release === `v${release}`),
  );
  const numbers = [...new Set(could.map(({ release }) => release))].sort((left, right) => right - left);
  return numbers.map((number) => {
    const own = could.filter(({ release }) => release === number);
    const healthy = healthyOf(own);
    const phase = own.find((vm) => vm.phase === "serving")?.phase ?? own[0]?.phase ?? "";
    return { release: `v${number}`, weight: weights[`v${number}`] ?? 0, vms: own.length, healthy, phase };
  });
}

function trafficJson(view: AppView): object {
  const { app, epoch, weights, byWeight = false, kept = null } = view;
  return { app, epoch, weights, byWeight, releases: releasesOf(view), kept };
}

function trafficLines(view: AppView): readonly string[] {
  const how = view.byWeight === true ? "as set, exact on each proxy" : "each VM counts alike";
  const shares = describeShares(view.weights);
  const head = shares === "" ? `${view.app}: nothing serves` : `${view.app}: ${shares} (${how})`;
  const cells = releasesOf(view).map(({ release, weight, vms, healthy, phase }) => [
    release,
    String(weight),
    `${healthy}/${vms} healthy`,
    view.kept?.release === release ? `kept for ${formatDuration(view.kept.forMs)}` : phase,
  ]);
  if (cells.length === 0) return [plainText(head)];
  return [plainText(head), formatTable(["RELEASE", "WEIGHT", "VMS", "PHASE"], cells).trimEnd()];
}
