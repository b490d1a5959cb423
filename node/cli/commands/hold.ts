// hold, release: whether every proxy keeps an app's requests, by a person's word. Each returns once it is in force on every proxy.

import { describeDuration } from "../../../mesh/words.ts";
import type { HoldView } from "../../api/hold-routes.ts";
import type { AppView } from "../../deploy/app-view.ts";
import { describeBytes } from "../../releases/bundle-limits.ts";
import { appViewShape, holdViewShape } from "../answers.ts";
import { postToApp } from "../ask-app.ts";
import { EXIT, type ExitCode } from "../exit-code.ts";
import { followLines } from "../follow-lines.ts";
import { type ClientOptions, print, printJson, type Session, withAgent } from "../session.ts";
import { plainText } from "../table.ts";
import { waitTimeoutOf } from "../wait-timeout.ts";

export interface HoldOptions extends ClientOptions {
  readonly waitTimeout?: string;
}

/** A proxy that is cut off may be back; a person who holds an app does not wait for longer. */
const WAIT_TIMEOUT_MS = 30_000;

export function changeHold(verb: "hold" | "release", app: string, options: HoldOptions): Promise<ExitCode> {
  return withAgent(verb, options, async (session) => {
    const { waitTimeout } = options;
    const waitMs = waitTimeout === undefined ? WAIT_TIMEOUT_MS : waitTimeoutOf(waitTimeout);
    const view = holdViewShape.parse(await postToApp(session, app, verb));
    if (options.json !== true) print(plainText(describeChange(verb, view)));
    const force = await untilInForce(session, view, waitMs);
    const exitCode = exitCodeOf(force);
    if (options.json === true) printJson({ ...view, ...force, exitCode });
    else print(plainText(describeForce(view, force)));
    return exitCode;
  });
}

/** Proxies by whether the record is in force there. Who is excluded by a person is not waited for. */
interface InForce {
  readonly have: readonly string[];
  readonly behind: readonly string[];
  readonly excluded: readonly string[];
}

/** As it stands once nobody is behind, or when the time is over. */
async function untilInForce(
  { client, signal }: Session,
  { app, epoch }: HoldView,
  waitMs: number,
): Promise<InForce> {
  let force: InForce | null = null;
  const done = new AbortController();
  const request = () => ({ method: "GET", path: `/v1/apps/${encodeURIComponent(app)}/watch` }) as const;
  const hear = (line: unknown) => {
    force = inForce(appViewShape.parse(line), epoch);
    if (isEverywhere(force)) done.abort();
  };
  const ended = AbortSignal.any([signal, done.signal, AbortSignal.timeout(waitMs)]);
  await followLines(client, { request, hear, refused: () => false }, ended);
  return force ?? { have: [], behind: [], excluded: [] };
}

function inForce({ proxies, excluded = [] }: AppView, epoch: number): InForce {
  const spared = new Set<string>(excluded.flatMap(({ proxy, by }) => (by === "person" ? [proxy] : [])));
  const asked = proxies.filter(({ proxy }) => !spared.has(proxy));
  const namesOf = (list: AppView["proxies"]) => list.map(({ proxy }) => proxy);
  return {
    have: namesOf(asked.filter(({ applied }) => applied >= epoch)),
    behind: namesOf(asked.filter(({ applied }) => applied < epoch)),
    excluded: [...spared],
  };
}

/** Where nobody at all is known, the asked agent may not have heard of them yet. */
function isEverywhere({ have, behind, excluded }: InForce): boolean {
  return behind.length === 0 && have.length + excluded.length > 0;
}

function exitCodeOf(force: InForce): ExitCode {
  if (!isEverywhere(force)) return EXIT.timedOut;
  return force.excluded.length === 0 ? EXIT.done : EXIT.doneExcept;
}

function describeChange(verb: "hold" | "release", { app, by, changed, bounds }: HoldView): string {
  if (verb === "release") return describeRelease(app, by, changed);
  const { maxAgeMs, maxRequests, maxBytes } = bounds;
  const kept = `each proxy keeps one for ${describeDuration(maxAgeMs)}, and ${maxRequests} with ${describeBytes(maxBytes)} of bodies at a time`;
  return `${app}: requests are held${changed ? "" : " already"}; ${kept}; what is above that gets 503; \`grapevine release ${app}\` sends them on`;
}

/** `by`: who holds them from then on. */
function describeRelease(app: string, by: HoldView["by"], changed: boolean): string {
  if (by === null) return `${app}: requests are not held${changed ? " any more" : ""}`;
  const who =
    by === "idle" ? "it sleeps, and a request wakes it" : "its rollout holds them, until a VM serves";
  return `${app}: requests are not held by a person any more; ${who}`;
}

function describeForce({ epoch }: HoldView, { have, behind, excluded }: InForce): string {
  if (behind.length === 0 && have.length + excluded.length === 0)
    return `no proxy is registered, or none has told of epoch ${epoch} (exit code 3)`;
  if (behind.length > 0)
    return `not in force on ${behind.join(", ")}: no word of epoch ${epoch} from there; \`grapevine proxy exclude NAME\` if it is gone for good (exit code 3)`;
  const names = `in force on ${have.join(", ") || "no proxy"}`;
  return excluded.length === 0 ? names : `${names}; nobody asked ${excluded.join(", ")} (exit code 6)`;
}
