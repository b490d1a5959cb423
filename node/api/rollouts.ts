// Rollouts: what happened in a rollout, of now and of before, as the voter that answers saw it.

import type { Hono } from "hono";
import { type AppName, appName, isName } from "../../mesh/index.ts";
import type { Deploys } from "../deploy/deploys.ts";
import type { RolloutStory } from "../deploy/story-view.ts";
import { apiError, noAppName, unknownApp } from "./answer.ts";
import { answerOrRelay, type DriverAnswer } from "./apps.ts";
import type { ApiDeps, ApiEnv } from "./ports.ts";

export function addRolloutRoutes(app: Hono<ApiEnv>, deps: ApiDeps): void {
  const route = (path: string, answer: DriverAnswer) =>
    app.get(path, (context) => answerOrRelay(deps, answer, context));
  route("/v1/rollouts", newest);
  route("/v1/rollouts/:name", (deploys, context) => named(deploys, context.req.param("name") ?? ""));
  route("/v1/apps/:app/rollouts", (deploys, context) => ofApp(deploys, context.req.param("app") ?? ""));
}

async function ofApp(deploys: Deploys, name: string): Promise<Response> {
  if (!isName(name)) return noAppName(name);
  const app = appName(name);
  const view = await deploys.stories(app);
  return view === null ? unknownApp(app) : Response.json(view);
}

/** The last that began, of all apps. */
async function newest(deploys: Deploys): Promise<Response> {
  const begun = deploys.views().flatMap(({ app, rollout }) => (rollout === null ? [] : [{ app, rollout }]));
  const last = begun.reduce<(typeof begun)[number] | null>(
    (left, right) => (left === null || right.rollout.startedAtMs > left.rollout.startedAtMs ? right : left),
    null,
  );
  if (last === null)
    return apiError("not-found", "no app had a rollout yet; deploy one with `grapevine deploy FILE`");
  return named(deploys, last.app);
}

/** By the id of a rollout, or the last one of an app. */
async function named(deploys: Deploys, name: string): Promise<Response> {
  const app = /^(.+)-v\d+(?:-e\d+)?$/.exec(name)?.[1];
  const found =
    app === undefined ? undefined : await storyOf(deploys, app, ({ rollout }) => rollout === name);
  const story = found ?? (await storyOf(deploys, name, () => true));
  if (story !== undefined) return Response.json(story);
  const hint =
    app === undefined
      ? "`grapevine status` lists the apps there are"
      : `\`grapevine history ${app}\` lists those that are kept`;
  return apiError("not-found", `there is no app, and no rollout that is kept, of the name ${name}; ${hint}`);
}

/** The newest that is meant. */
async function storyOf(
  deploys: Deploys,
  app: string,
  isMeant: (story: RolloutStory) => boolean,
): Promise<RolloutStory | undefined> {
  if (!isName(app)) return undefined;
  const view = await deploys.stories(appName(app) satisfies AppName);
  return view?.rollouts.findLast(isMeant);
}
