// Conflict: what a deploy does about a rollout of its app that runs: it fails, waits for the end of that, or has it taken back.

import { z } from "zod";
import { describeDuration, nearestWord } from "../../../mesh/words.ts";
import type { Submitted } from "../answers.ts";
import { ApiError } from "../api-client.ts";
import { followRollout } from "../follow.ts";
import { type Session, UsageError } from "../session.ts";
import type { Teller } from "../teller.ts";

const ON_CONFLICT = ["fail", "wait", "supersede"] as const;
type OnConflict = (typeof ON_CONFLICT)[number];

/** Throws `UsageError`. */
export function onConflictOf(word: string | undefined): OnConflict {
  const known = ON_CONFLICT.find((one) => one === (word ?? "fail"));
  if (known !== undefined) return known;
  const nearest = nearestWord(word ?? "", ON_CONFLICT);
  const hint = nearest === undefined ? "" : `; did you mean ${nearest}?`;
  throw new UsageError(`--on-conflict must be one of ${ON_CONFLICT.join(", ")}; found ${word}${hint}`);
}

export interface ConflictOptions {
  readonly app: string;
  readonly onConflict: OnConflict;
  /** For the rollouts that run before ours, in all. */
  readonly waitMs: number;
  readonly teller: Teller;
}

type Submit = (how: { readonly supersedes: boolean }) => Promise<Submitted>;

/** Submits. It takes nothing back that could be the same deploy: that is joined. Rejects with an `ApiError` that is `locked`. */
export async function submitDespite(
  session: Session,
  submit: Submit,
  options: ConflictOptions,
): Promise<Submitted> {
  const untilMs = performance.now() + options.waitMs;
  for (;;) {
    const tried = await unlessLocked(() => submit({ supersedes: false }));
    if (!(tried instanceof ApiError)) return tried;
    if (options.onConflict === "supersede") return submit({ supersedes: true });
    const running = runningIn(tried);
    if (options.onConflict === "fail" || running === null) throw withWaysOut(tried);
    await endOf(session, { ...options, running, untilMs, locked: tried });
  }
}

function withWaysOut({ code, message, answer }: ApiError): ApiError {
  const ways = "--on-conflict wait deploys after it, --on-conflict supersede in its place";
  return new ApiError(code, `${message}; ${ways}`, answer);
}

async function unlessLocked(submit: () => Promise<Submitted>): Promise<Submitted | ApiError> {
  try {
    return await submit();
  } catch (error) {
    if (error instanceof ApiError && error.code === "locked") return error;
    throw error;
  }
}

const lockedShape = z.looseObject({ error: z.looseObject({ rollout: z.string(), driver: z.string() }) });

function runningIn({ answer }: ApiError): { readonly rollout: string; readonly driver: string } | null {
  const read = lockedShape.safeParse(answer);
  return read.success ? read.data.error : null;
}

/** Nothing is submitted meanwhile: who is interrupted leaves nothing behind. */
async function endOf(
  { client, signal }: Session,
  {
    app,
    running: { rollout, driver },
    untilMs,
    waitMs,
    locked,
    teller,
  }: ConflictOptions & {
    readonly running: { readonly rollout: string; readonly driver: string };
    readonly untilMs: number;
    readonly locked: ApiError;
  },
): Promise<void> {
  const leftMs = untilMs - performance.now();
  const isOver = leftMs <= 0;
  if (!isOver) {
    const text = `${rollout} runs, driven by ${driver}: waiting for its end, up to ${describeDuration(waitMs)}; nothing is submitted before`;
    teller.tell({ event: "conflict", text, facts: { rollout, driver } });
    await client.learnAgents(signal);
    const enough = AbortSignal.timeout(Math.ceil(leftMs));
    const either = AbortSignal.any([signal, enough]);
    const following = followRollout(client, { app, rollout, teller, signal: either });
    const end = await following.finally(() => teller.close());
    if (signal.aborted) throw new Error("nothing was submitted");
    if (end.code !== "detached") return;
  }
  throw new ApiError(
    "locked",
    `waited ${describeDuration(waitMs)} for ${rollout}, nothing was submitted: ${locked.message}`,
    locked.answer,
  );
}
