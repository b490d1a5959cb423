// explain, history: what happened in a rollout, and which there were.

import { EXIT, type ExitCode } from "../exit-code.ts";
import { ask, type ClientOptions, print, printJson, withAgent } from "../session.ts";
import { rolloutStoryShape, storiesViewShape } from "../story-answers.ts";
import { historyText, storyText } from "../story-text.ts";

/** Of a rollout, of an app's last, or of the last of all. */
export function explain(name: string | undefined, options: ClientOptions): Promise<ExitCode> {
  return withAgent("explain", options, async (session) => {
    const path = name === undefined ? "/v1/rollouts" : `/v1/rollouts/${encodeURIComponent(name)}`;
    const story = await ask(session, path, rolloutStoryShape);
    if (options.json === true) printJson(story);
    else print(storyText(story));
    return EXIT.done;
  });
}

export function history(app: string, options: ClientOptions): Promise<ExitCode> {
  return withAgent("history", options, async (session) => {
    const stories = await ask(session, `/v1/apps/${encodeURIComponent(app)}/rollouts`, storiesViewShape);
    if (options.json === true) printJson(stories);
    else print(historyText(stories));
    return EXIT.done;
  });
}
