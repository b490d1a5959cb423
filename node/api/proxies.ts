// Proxies: the word of a person that rollouts do not ask one, or do again. In the record, so that every driver goes by it.

import type { Context, Hono } from "hono";
import { appName, isName, type MemberName, memberName } from "../../mesh/index.ts";
import type { Deploys } from "../deploy/deploys.ts";
import { apiError, apiErrorBeside, noAppName } from "./answer.ts";
import { relayToVoter } from "./apps.ts";
import type { ApiDeps, ApiEnv } from "./ports.ts";

type Verb = "exclude" | "include";

/** What it answers: the apps whose records say so now. */
export interface ProxyExclusionView {
  readonly proxy: MemberName;
  readonly excluded: boolean;
  readonly apps: readonly string[];
}

export function addProxyRoutes(app: Hono<ApiEnv>, deps: ApiDeps): void {
  for (const verb of ["exclude", "include"] as const) {
    app.post(`/v1/proxies/:proxy/${verb}`, (context) => {
      const deploys = deps.deploys();
      return deploys === null ? relayToVoter(deps, context) : exclude(deps, deploys, verb, context);
    });
  }
}

async function exclude(
  deps: ApiDeps,
  deploys: Deploys,
  verb: Verb,
  context: Context<ApiEnv>,
): Promise<Response> {
  const name = context.req.param("proxy") ?? "";
  const app = context.req.query("app") ?? null;
  if (!isName(name)) return apiError("invalid", "this is no proxy's name");
  if (app !== null && !isName(app)) return noAppName(app);
  const proxy = memberName(name);
  if (verb === "exclude" && !isKnownProxy(deps, proxy)) {
    return apiError("not-found", `there is no proxy ${proxy}; \`grapevine members\` lists them`);
  }
  const result = await deploys.excludeProxy({ proxy, verb, app: app === null ? null : appName(app) });
  if (result.code === "invalid") return apiError("invalid", result.message);
  const view = { proxy, excluded: verb === "exclude", apps: result.apps } satisfies ProxyExclusionView;
  return result.code === "done" ? Response.json(view) : apiErrorBeside(view, "unavailable", result.message);
}

/** One that is lost may be known from the records alone. */
function isKnownProxy({ mesh, registers }: ApiDeps, proxy: MemberName): boolean {
  if (mesh.named(proxy).some(({ role }) => role === "proxy")) return true;
  return registers.apps.all().some(({ record }) => record.rollout?.proxies?.includes(proxy) === true);
}
