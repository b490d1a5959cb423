// status --watch: an app and its rollouts as they go, until Ctrl-C, which ends this command and nothing else.

import type { AppView } from "../../deploy/app-view.ts";
import { appViewShape } from "../answers.ts";
import { Chronicle } from "../chronicle.ts";
import { EXIT, type ExitCode } from "../exit-code.ts";
import { followLines } from "../follow-lines.ts";
import { screenOf } from "../live-screen.ts";
import { type ClientOptions, print, printJson, UsageError, withAgent } from "../session.ts";

/** How often waits are looked at, and a screen drawn again. */
const TICK_MS = 250;

/** Takes in a view when one came; null: time has passed. */
type Show = (view: AppView | null) => void;

export function watchStatus(app: string | undefined, options: ClientOptions): Promise<ExitCode> {
  return withAgent("status", options, async ({ client, signal }) => {
    if (app === undefined)
      throw new UsageError("--watch is for one app: grapevine status -w APP; without it all are listed");
    await client.learnAgents(signal);
    const isScreen = process.stdout.isTTY === true && options.json !== true;
    const show = options.json === true ? showJson : isScreen ? onScreen() : asLines();
    const timer = setInterval(() => show(null), TICK_MS);
    try {
      const request = () => ({ method: "GET", path: `/v1/apps/${encodeURIComponent(app)}/watch` }) as const;
      const hear = (line: unknown) => show(appViewShape.parse(line));
      await followLines(client, { request, hear, refused: () => false }, signal);
    } finally {
      clearInterval(timer);
      if (isScreen) process.stdout.write("\n");
    }
    return EXIT.done;
  });
}

/** Each view as it comes, a line of JSON. */
const showJson: Show = (view) => {
  if (view !== null) printJson(view);
};

function asLines(): Show {
  const chronicle = new Chronicle();
  return withAge((view, ageMs, nowMs) => {
    for (const line of chronicle.step(view, ageMs, nowMs)) print(line);
  });
}

function onScreen(): Show {
  process.stdout.write("\u001b[2J");
  return withAge((view, ageMs) => {
    process.stdout.write(screenOf(view, ageMs, process.stdout));
  });
}

/** Calls `show` with the newest view, and how old it is. */
function withAge(show: (view: AppView, ageMs: number, nowMs: number) => void): Show {
  let newest: { readonly view: AppView; readonly atMs: number } | null = null;
  return (view) => {
    const nowMs = performance.now();
    if (view !== null) newest = { view, atMs: nowMs };
    if (newest !== null) show(newest.view, nowMs - newest.atMs, nowMs);
  };
}
