// Host drain: how far a host is drained, once and as it goes. That it is drained at all is the host's own word (`host-cordon.ts`).

import type { Context, Hono } from "hono";
import { isName, type MemberName, memberName } from "../../mesh/index.ts";
import type { Deploys } from "../deploy/deploys.ts";
import { apiError, endedBy, LINES_TYPE, streamed } from "./answer.ts";
import { answerOrRelay, viewLines } from "./apps.ts";
import type { ApiDeps, ApiEnv } from "./ports.ts";

export function addHostDrainRoutes(app: Hono<ApiEnv>, deps: ApiDeps): void {
  app.get("/v1/hosts/:host/drain", (context) => answerOrRelay(deps, withHost(viewNow), context));
  app.get("/v1/hosts/:host/drain/watch", (context) => answerOrRelay(deps, withHost(watchView), context));
}

type HostAnswer = (deploys: Deploys, host: MemberName, context: Context<ApiEnv>) => Response;

/** What a voter that has just started does not know yet must not look like an empty host. */
function withHost(
  answer: HostAnswer,
): (deploys: Deploys, context: Context<ApiEnv>) => Promise<Response> | Response {
  return async (deploys, context) => {
    const name = context.req.param("host") ?? "";
    if (!isName(name)) return apiError("invalid", "this is no host's name");
    const host = memberName(name);
    if (deploys.drains.view(host) === null)
      return apiError("not-found", `there is no host ${host}; \`grapevine members\` lists them`);
    const lack = await deploys.drains.read();
    return lack === null ? answer(deploys, host, context) : apiError("unavailable", lack);
  };
}

function viewNow(deploys: Deploys, host: MemberName): Response {
  return Response.json(deploys.drains.view(host));
}

function watchView({ drains }: Deploys, host: MemberName, context: Context<ApiEnv>): Response {
  const ended = endedBy(context.req.raw.signal);
  const lines = viewLines(drains.watch(host, ended.signal), () => {
    const view = drains.view(host);
    return view?.empty === false ? view : null;
  });
  return new Response(streamed(lines, ended), { headers: { "content-type": LINES_TYPE } });
}
