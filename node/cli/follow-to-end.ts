// Follow to end: a rollout that was submitted, to its end, its step's, or that of who looks. What is returned is what was seen, never what
// is hoped.

import type { RolloutView } from "../deploy/app-view.ts";
import { releaseName } from "../deploy/core/describe.ts";
import type { Submitted } from "./answers.ts";
import { EXIT, type ExitCode, exitCodeOf, exitCodeOfMissed } from "./exit-code.ts";
import { type FollowEnd, followRollout } from "./follow.ts";
import { describeEnd, describeStepEnd, type Told } from "./narrator.ts";
import type { ClientOptions, Session } from "./session.ts";
import { plainText } from "./table.ts";
import { type Teller, tellerOf } from "./teller.ts";

export interface FollowedOptions extends ClientOptions {
  readonly detach?: boolean;
}

export async function followToEnd(
  { client, signal }: Session,
  submitted: Submitted,
  options: FollowedOptions,
): Promise<ExitCode> {
  const teller = tellerOf(options);
  try {
    const { app, rollout, step, supersedes } = submitted;
    teller.tell(toldOfBegin(submitted));
    if (options.detach === true) return finish(submitted, { code: "detached" }, teller);
    await client.learnAgents(signal);
    const what = { app, rollout, untilStep: step, supersedes };
    const end = await followRollout(client, { ...what, teller, signal });
    return finish(submitted, end, teller);
  } finally {
    teller.close();
  }
}

function toldOfBegin({ app, release, rollout, joined, note, supersedes }: Submitted): Told {
  const asked = {
    ...(note === undefined ? {} : { note }),
    ...(supersedes === undefined ? {} : { supersedes }),
  };
  const facts = { app, release: releaseName(release), rollout, joined, ...asked };
  const text = joined ? `${rollout}: on its way already; joined it` : `${rollout}: submitted`;
  const lines = note === undefined ? text : `${plainText(note)}\n${text}`;
  return { event: "submitted", text: lines, facts };
}

function finish(submitted: Submitted, end: FollowEnd, teller: Teller): ExitCode {
  const exitCode = exitCodeOfEnd(submitted, end);
  teller.end(endLines(submitted, end, exitCode), endJson(submitted, end, exitCode));
  return exitCode;
}

function exitCodeOfEnd(submitted: Submitted, end: FollowEnd): ExitCode {
  if (end.code === "detached") return EXIT.timedOut;
  if (end.code === "replaced") return exitCodeOf(end.rollout, []);
  const { rollout, leftovers, release } = end.view;
  if (end.code === "stepped" && rollout?.direction === "back") return backCode(rollout);
  // What it was to follow runs, or is over, and it is not what follows: somebody took it back.
  if (submitted.supersedes !== undefined && end.code === "superseded" && rollout?.id === submitted.supersedes)
    return EXIT.aborted;
  // Another split took the place of this one: whether every proxy had it is not known.
  if (end.code === "stepped") return isSplitReplaced(rollout, submitted.step) ? EXIT.timedOut : EXIT.done;
  if (submitted.step !== undefined && end.code === "superseded") return EXIT.timedOut;
  return end.code === "ended" && rollout !== null
    ? exitCodeOf(rollout, leftovers)
    : exitCodeOfMissed(submitted, release);
}

/** After a split that every proxy has the deploy waits for approval again; another split comes at once. */
function isSplitReplaced(rollout: RolloutView | null, step = 0): boolean {
  const steps = [...(rollout?.history ?? []), ...(rollout?.step == null ? [] : [rollout.step])];
  return steps.some(({ number, kind }) => number === step + 1 && kind === "weigh");
}

/** Of a rollout that goes back, as if it were there. */
function backCode({ reason }: RolloutView): ExitCode {
  return exitCodeOf({ state: reason?.code === "aborted" ? "aborted" : "rolled-back", reason }, []);
}

function endLines(
  { app, rollout, step, supersedes }: Submitted,
  end: FollowEnd,
  exitCode: ExitCode,
): readonly string[] {
  if (end.code === "ended") return describeEnd(end.view, exitCode);
  if (end.code === "stepped") return describeStepEnd(end.view, step, exitCode);
  if (end.code === "replaced") return [`${rollout}: ${end.rollout.state}; ${end.by} took its place`];
  if (end.code === "superseded" && end.view.rollout?.id === supersedes)
    return [`${rollout}: withdrawn: it does not begin (exit code ${exitCode})`];
  if (end.code === "superseded")
    return [
      `${rollout}: over; ${end.view.rollout?.id ?? "nothing"} followed it${exitCode === EXIT.timedOut ? " (exit code 3: its end is not known)" : ""}`,
    ];
  return [
    `detached; the rollout goes on; follow it with \`grapevine status ${app}\` (exit code 3: its end is not known)`,
  ];
}

function endJson(submitted: Submitted, end: FollowEnd, exitCode: ExitCode): object {
  const { app, release, rollout } = submitted;
  const { supersedes } = submitted;
  const shown = {
    app,
    release: releaseName(release),
    rollout,
    ...(supersedes === undefined ? {} : { supersedes }),
  };
  if (end.code === "detached") return { ...shown, state: "running", exitCode, steps: [] };
  const isOther = end.code === "superseded" || end.code === "replaced";
  const seen = isOther ? null : end.view.rollout;
  const replaced = end.code === "replaced" ? end.rollout : null;
  return {
    ...shown,
    ...(end.code === "replaced" ? { supersededBy: end.by } : {}),
    state: seen?.state ?? replaced?.state ?? end.code,
    exitCode,
    steps: seen?.history ?? [],
    reason: seen?.reason ?? replaced?.reason ?? null,
    serving: end.view.release,
    weights: end.view.weights,
    leftovers: end.view.leftovers,
    except: seen?.except ?? [],
  };
}
