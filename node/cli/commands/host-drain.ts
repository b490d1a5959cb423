// host drain: says it to the host, then follows until nothing is left there. What moves goes on without this command.

import type { DrainView } from "../../deploy/drain-view.ts";
import { hostCordonShape } from "../answers.ts";
import { drainViewShape } from "../drain-answers.ts";
import { DrainNarrator, leftLines } from "../drain-narrator.ts";
import { EXIT, type ExitCode } from "../exit-code.ts";
import { followLines } from "../follow-lines.ts";
import { type ClientOptions, print, printJson, type Session, withAgent } from "../session.ts";
import { formatDuration, plainText } from "../table.ts";

export interface DrainOptions extends ClientOptions {
  readonly detach?: boolean;
}

/** How often waits are looked at. */
const TICK_MS = 250;
/** The host has said it; a voter that has not heard of that after so long hears that it is not so any more. */
const HEARD_WITHIN_MS = 10_000;

/** `over`: somebody said `uncordon`, or `cordon`. */
type DrainEnd = "empty" | "detached" | "over";

const EXIT_OF = {
  empty: EXIT.done,
  detached: EXIT.timedOut,
  over: EXIT.aborted,
} as const satisfies Record<DrainEnd, ExitCode>;

export function drainHost(host: string, options: DrainOptions): Promise<ExitCode> {
  return withAgent("host drain", options, async (session) => {
    const { client, signal } = session;
    const path = `/v1/hosts/${encodeURIComponent(host)}`;
    const asked = { method: "POST", path: `${path}/drain` } as const;
    hostCordonShape.parse(await client.json(asked, signal));
    const following = new Following(options.json === true ? () => undefined : print);
    if (options.detach !== true) await follow(session, `${path}/drain/watch`, following);
    const end = following.end ?? "detached";
    const exitCode = EXIT_OF[end];
    if (options.json === true) printJson({ ...following.summary(host), state: end, exitCode });
    else for (const line of endLines(host, end, following)) print(line);
    return exitCode;
  });
}

async function follow({ client, signal }: Session, path: string, following: Following): Promise<void> {
  await client.learnAgents(signal);
  const over = new AbortController();
  const look = () => {
    following.look();
    if (following.end !== null) over.abort();
  };
  const timer = setInterval(look, TICK_MS);
  const hear = (line: unknown) => {
    following.hear(drainViewShape.parse(line));
    look();
  };
  const request = () => ({ method: "GET", path }) as const;
  try {
    const until = AbortSignal.any([signal, over.signal]);
    await followLines(client, { request, hear, refused: () => false }, until);
  } finally {
    clearInterval(timer);
  }
}

class Following {
  readonly #say: (line: string) => void;
  readonly #narrator = new DrainNarrator();
  readonly beganMs: number = performance.now();
  #newest: { readonly view: DrainView; readonly atMs: number } | null = null;
  #hasBegun = false;
  /** Null: it goes on. */
  end: DrainEnd | null = null;

  constructor(say: (line: string) => void) {
    this.#say = say;
  }

  get view(): DrainView | null {
    return this.#newest?.view ?? null;
  }

  hear(view: DrainView): void {
    this.#newest = { view, atMs: performance.now() };
  }

  look(): void {
    if (this.#newest === null || this.end !== null) return;
    const { view, atMs } = this.#newest;
    const nowMs = performance.now();
    const isDrained = view.use === "draining";
    // Who answers may not have heard of it yet: then nothing of what it says is about that.
    if (!this.#hasBegun && !isDrained && nowMs - this.beganMs < HEARD_WITHIN_MS) return;
    this.#hasBegun = true;
    if (!isDrained) {
      this.end = "over";
      return;
    }
    for (const line of this.#narrator.step(view, nowMs - atMs, nowMs)) this.#say(line);
    if (view.empty) this.end = "empty";
  }

  summary(host: string): object {
    const moved = [...this.#narrator.moved].map(([app, rollout]) => ({ app, rollout }));
    const left = (this.view?.apps ?? []).map(({ view: _view, ...stay }) => stay);
    return { host, moved, left };
  }
}

function endLines(host: string, end: DrainEnd, { view, beganMs }: Following): readonly string[] {
  if (end === "empty") {
    const tookMs = performance.now() - beganMs;
    return [
      plainText(
        `${host} is empty after ${formatDuration(tookMs)}; \`grapevine host uncordon ${host}\` gives it VMs again`,
      ),
    ];
  }
  const left = view === null ? [] : leftLines(view);
  const head =
    end === "over"
      ? `${host} is not drained any more: somebody said \`grapevine host ${view?.use === "cordoned" ? "cordon" : "uncordon"} ${host}\` (exit code 5)`
      : `detached; it goes on: follow it with \`grapevine host drain ${host}\`, end it with \`grapevine host uncordon ${host}\` (exit code 3: its end is not known)`;
  return [...left, plainText(head)];
}
