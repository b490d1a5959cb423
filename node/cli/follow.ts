// Follow: watches a rollout to its end. When the agent that we watch through dies, another is asked: the rollout goes on
// without us anyway.

import { setTimeout as sleep } from "node:timers/promises";
import type { AppView, RolloutView } from "../deploy/app-view.ts";
import { appViewShape } from "./answers.ts";
import { type ApiClient, ApiError, NoAgentError } from "./api-client.ts";
import { isOver } from "./exit-code.ts";
import { Narrator } from "./narrator.ts";
import { plainText } from "./table.ts";
import type { Teller } from "./teller.ts";

/** How often waits are looked at. */
const TICK_MS = 250;
const RETRY_MS = 250;
/** No agent answered for so long: a supervisor had the time to start one again. */
const LOST_AFTER_MS = 30_000;

/**
 * - `ended`: `view` is the app at the end of the rollout.
 * - `stepped`: the step that was waited for is over, well or not, and the rollout goes on.
 * - `superseded`: another rollout of the app followed before we saw the end, or ours was to follow one, and does not any more.
 * - `replaced`: the deploy `by` superseded it, in the commit that ended it; `rollout` is how it ended.
 * - `detached`: `signal` aborted.
 */
export type FollowEnd =
  | { readonly code: "ended" | "stepped" | "superseded"; readonly view: AppView }
  | { readonly code: "replaced"; readonly view: AppView; readonly rollout: EndedRollout; readonly by: string }
  | { readonly code: "detached" };

type EndedRollout = Pick<RolloutView, "state" | "reason">;

export interface FollowOptions {
  readonly app: string;
  readonly rollout: string;
  /** Of this step alone, and only to its end. */
  readonly untilStep?: number | undefined;
  /** The rollout whose end ours waits for, to begin in the same commit. */
  readonly supersedes?: string | undefined;
  readonly teller: Pick<Teller, "tell" | "show">;
  /** Ctrl-C. */
  readonly signal: AbortSignal;
  readonly lostAfterMs?: number;
}

/** Rejects with `NoAgentError` when none answers for long; the rollout may go on. */
export async function followRollout(client: ApiClient, options: FollowOptions): Promise<FollowEnd> {
  const following = new Following(options);
  const timer = setInterval(() => following.narrate(), TICK_MS);
  try {
    for (;;) {
      const end = await followOnce(client, options, following);
      if (end !== null) return end;
      if (following.silentForMs() > (options.lostAfterMs ?? LOST_AFTER_MS)) throw lost(options);
      await sleep(RETRY_MS);
    }
  } finally {
    clearInterval(timer);
  }
}

/** null: the agent was lost on the way. */
async function followOnce(
  client: ApiClient,
  options: FollowOptions,
  following: Following,
): Promise<FollowEnd | null> {
  const via = client.current;
  try {
    for await (const line of client.lines(
      { method: "GET", path: `/v1/apps/${options.app}/watch` },
      options.signal,
    )) {
      const end = following.hear(line);
      if (end !== null) return end;
    }
  } catch (error) {
    if (!options.signal.aborted && isFinal(error)) throw error;
  }
  if (options.signal.aborted) return { code: "detached" };
  if (client.current === via) client.skipCurrent();
  following.sayLost(via);
  return null;
}

/** An agent that is gone, or that lost its voter, may be back; an agent that says "no such app" will not change its mind. */
function isFinal(error: unknown): boolean {
  return error instanceof ApiError && error.code !== "unavailable" && error.code !== "internal";
}

function lost({ app, rollout }: FollowOptions): NoAgentError {
  return new NoAgentError(
    `no agent answers any more; rollout ${rollout} may still go on: look with \`grapevine status ${app}\` when one is back`,
  );
}

class Following {
  readonly #options: FollowOptions;
  /** Ours, and of the one that ours supersedes, while that comes to its end. */
  readonly #narrators = new Map<string, Narrator>();
  #reason: RolloutView["reason"] = null;
  #view: AppView | null = null;
  #viewAtMs = 0;
  #heardAtMs = performance.now();
  #lostVia = "";
  /** Until its end is told. */
  #supersedes: string | undefined;

  constructor(options: FollowOptions) {
    this.#options = options;
    this.#supersedes = options.supersedes;
  }

  /** What an agent sent: a view, or null as a sign of life. */
  hear(line: unknown): FollowEnd | null {
    this.#heardAtMs = performance.now();
    if (this.#lostVia !== "")
      this.#options.teller.tell({ event: "agent-back", text: "an agent answers again", facts: {} });
    this.#lostVia = "";
    if (line === null) return null;
    const view = appViewShape.parse(line);
    this.#view = view;
    this.#viewAtMs = this.#heardAtMs;
    this.#tellOfBegin(view);
    this.narrate();
    const { rollout, app } = this.#options;
    if (view.rollout === null) return { code: "superseded", view };
    const { superseded, next, id } = view.rollout;
    if (superseded?.id === rollout)
      return { code: "replaced", view, rollout: { state: superseded.state, reason: this.#reason }, by: id };
    if (id !== rollout) return `${app}-v${next}` === rollout ? null : { code: "superseded", view };
    this.#reason = view.rollout.reason;
    if (isOver(view.rollout)) return { code: "ended", view };
    const { untilStep } = this.#options;
    const isStepped = view.rollout.history.some(({ number }) => number === untilStep);
    return isStepped ? { code: "stepped", view } : null;
  }

  narrate(): void {
    if (this.#view === null || this.#lostVia !== "") return;
    const nowMs = performance.now();
    const ageMs = nowMs - this.#viewAtMs;
    const { teller } = this.#options;
    for (const told of this.#narrator(this.#view).step(this.#view, ageMs, nowMs)) teller.tell(told);
    teller.show(this.#view, ageMs);
  }

  /** However fast it went: what ours superseded is over, and how. */
  #tellOfBegin({ rollout }: AppView): void {
    const { superseded, id } = rollout ?? {};
    if (superseded === undefined || superseded.id !== this.#supersedes) return;
    this.#supersedes = undefined;
    const text = plainText(`${superseded.id}: ${superseded.state}; ${id} begins`);
    this.#options.teller.tell({ event: "begun", text, facts: { superseded } });
  }

  /** Who follows a rollout to its end is told of that alone. */
  #narrator({ app, rollout }: AppView): Narrator {
    const isBefore = `${app}-v${rollout?.next}` === this.#options.rollout;
    const id = isBefore && rollout != null ? rollout.id : this.#options.rollout;
    const known = this.#narrators.get(id) ?? new Narrator(id, isBefore ? undefined : this.#options.untilStep);
    this.#narrators.set(id, known);
    return known;
  }

  silentForMs(): number {
    return performance.now() - this.#heardAtMs;
  }

  sayLost(via: string): void {
    const text = `the agent at ${via} does not answer; asking another`;
    if (this.#lostVia === "") this.#options.teller.tell({ event: "agent-lost", text, facts: { agent: via } });
    this.#lostVia = via;
  }
}
