// Host cordon: whether anything new is placed on a host, and whether what runs there shall leave, as a person says. Each host keeps that
// word itself, and tells it: so it outlives whoever was asked, and all who place or move VMs read it.

import type { Context, Hono } from "hono";
import { isName, type MemberName, memberName, messageOf } from "../../mesh/index.ts";
import type { HostUse } from "../host-cordon.ts";
import { apiError } from "./answer.ts";
import { relayTo } from "./apps.ts";
import type { ApiDeps, ApiEnv } from "./ports.ts";

export interface HostCordonView {
  readonly host: MemberName;
  readonly cordoned: boolean;
  readonly draining: boolean;
}

const USES = { cordon: "cordoned", uncordon: "open", drain: "draining" } as const satisfies Record<
  string,
  HostUse
>;

export function addHostCordonRoutes(app: Hono<ApiEnv>, deps: ApiDeps): void {
  for (const [verb, use] of Object.entries(USES))
    app.post(`/v1/hosts/:host/${verb}`, (context) => setUse(deps, context, use));
}

async function setUse(deps: ApiDeps, context: Context<ApiEnv>, use: HostUse): Promise<Response> {
  const name = context.req.param("host") ?? "";
  if (!isName(name)) return apiError("invalid", "this is no host's name");
  const host = memberName(name);
  if (host !== deps.self.host) return askHost(deps, context, { host, use });
  try {
    await deps.setUse(use);
  } catch (error) {
    return apiError("unavailable", `${host} cannot write its disk, nothing was changed: ${messageOf(error)}`);
  }
  const view = { host, cordoned: use !== "open", draining: use === "draining" } satisfies HostCordonView;
  return Response.json(view);
}

function askHost(
  deps: ApiDeps,
  context: Context<ApiEnv>,
  { host, use }: { readonly host: MemberName; readonly use: HostUse },
): Promise<Response> | Response {
  const { mesh } = deps;
  if (context.env?.isRelayed === true) return apiError("unavailable", `this is not ${host}`);
  const named = mesh.named(host).filter(({ role }) => role === "host");
  if (named.length === 0) {
    return apiError("not-found", `there is no host ${host}; \`grapevine members\` lists them`);
  }
  const connected = named.find((member) => member.connected);
  if (connected !== undefined) return relayTo(mesh, connected, context);
  if (use === "draining") return undrainable(deps, host);
  return apiError("unavailable", `${host} is not connected: nothing new is placed there anyway`);
}

/** Of a host that nobody hears no VM can be taken away by evidence. */
function undrainable({ mesh, registers }: ApiDeps, host: MemberName): Response {
  const nothing = `nothing new is placed there anyway`;
  const isFenced = registers.apps
    .all()
    .some(({ record: { fenced = [] } }) => fenced.some((fence) => fence.host === host));
  if (isFenced)
    return apiError(
      "invalid",
      `${host} is off, as a person said (\`grapevine host fence\`): its VMs are replaced without it, and ${nothing}`,
    );
  const isDead = mesh.named(host).some(({ liveness }) => liveness.state === "dead");
  if (!isDead) return apiError("unavailable", `${host} is not connected: bring it back, then drain it`);
  return apiError(
    "invalid",
    `${host} is dead, so its gate cannot be asked: bring it back, then drain it. Its VMs are replaced after replace_after; if it is off, \`grapevine host fence ${host}\`; ${nothing}`,
  );
}
