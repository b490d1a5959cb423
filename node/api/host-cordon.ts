// Host cordon: whether anything new is placed on a host, as a person says. Each host keeps that word itself, and tells it.

import type { Context, Hono } from "hono";
import { isName, type MemberName, memberName, messageOf } from "../../mesh/index.ts";
import { apiError } from "./answer.ts";
import { relayTo } from "./apps.ts";
import type { ApiDeps, ApiEnv } from "./ports.ts";

export interface HostCordonView {
  readonly host: MemberName;
  readonly cordoned: boolean;
}

export function addHostCordonRoutes(app: Hono<ApiEnv>, deps: ApiDeps): void {
  app.post("/v1/hosts/:host/cordon", (context) => setCordon(deps, context, true));
  app.post("/v1/hosts/:host/uncordon", (context) => setCordon(deps, context, false));
}

async function setCordon(deps: ApiDeps, context: Context<ApiEnv>, cordoned: boolean): Promise<Response> {
  const name = context.req.param("host") ?? "";
  if (!isName(name)) return apiError("invalid", "this is no host's name");
  const host = memberName(name);
  if (host !== deps.self.host) return askHost(deps, context, host);
  try {
    await deps.setCordon(cordoned);
  } catch (error) {
    return apiError("unavailable", `${host} cannot write its disk, nothing was changed: ${messageOf(error)}`);
  }
  return Response.json({ host, cordoned } satisfies HostCordonView);
}

function askHost(
  { mesh }: ApiDeps,
  context: Context<ApiEnv>,
  host: MemberName,
): Promise<Response> | Response {
  if (context.env?.isRelayed === true) return apiError("unavailable", `this is not ${host}`);
  const named = mesh.named(host).filter(({ role }) => role === "host");
  if (named.length === 0) {
    return apiError("not-found", `there is no host ${host}; \`grapevine members\` lists them`);
  }
  const connected = named.find((member) => member.connected);
  if (connected === undefined) {
    return apiError("unavailable", `${host} is not connected: nothing new is placed there anyway`);
  }
  return relayTo(mesh, connected, context);
}
