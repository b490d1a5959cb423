// Host fence: a person's word that a host is off, so that no rollout waits for its gate. Not of one that anybody hears: that can be asked.

import type { Context, Hono } from "hono";
import {
  compareStarts,
  isName,
  type MemberName,
  type MemberView,
  memberName,
  type VmName,
  whoHears,
} from "../../mesh/index.ts";
import type { Deploys } from "../deploy/deploys.ts";
import { apiError, apiErrorBeside } from "./answer.ts";
import { relayToVoter } from "./apps.ts";
import { vmsNamedOn } from "./hosts.ts";
import type { ApiDeps, ApiEnv } from "./ports.ts";

export interface HostFencedView {
  readonly host: MemberName;
  /** Whose records say so now: those that have something there. */
  readonly apps: readonly string[];
  /** VMs of it that records name: they count as stopped. */
  readonly vms: readonly { readonly vm: VmName; readonly app: string }[];
  /** Who did not say whether they hear it. */
  readonly silent: readonly MemberName[];
}

export function addHostFenceRoutes(app: Hono<ApiEnv>, deps: ApiDeps): void {
  app.post("/v1/hosts/:host/fence", (context) => {
    const deploys = deps.deploys();
    return deploys === null ? relayToVoter(deps, context) : fence(deps, deploys, context);
  });
}

async function fence(deps: ApiDeps, deploys: Deploys, context: Context<ApiEnv>): Promise<Response> {
  const name = context.req.param("host") ?? "";
  if (!isName(name)) return apiError("invalid", "this is no host's name");
  const host = memberName(name);
  const named = deps.mesh.named(host);
  const refusal = refusalOf(deps, host, named);
  if (refusal !== null) return refusal;
  const asked = await Promise.all(named.map((view) => whoHears(deps.mesh, view, context.req.raw.signal)));
  const hearing = [...new Set(asked.flatMap((one) => one.hearing))];
  const isUnsafe = context.req.query("force") === "unsafe";
  if (hearing.length > 0 && !isUnsafe) return apiError("alive", aliveText(host, hearing));
  const starts = named.flatMap(({ owner }) => deps.mesh.store.head(owner) ?? []);
  const newest = starts.reduce((left, right) => (compareStarts(left, right) < 0 ? right : left));
  const start = { incarnation: newest.incarnation, startId: newest.startId };
  const result = await deploys.fenceHost({ host, start, isUnsafe });
  if (result.code === "invalid") return apiError("invalid", result.message);
  const silent = [...new Set(asked.flatMap((one) => one.silent))];
  const view = { host, apps: result.apps, vms: vmsNamedOn(deps, host), silent } satisfies HostFencedView;
  if (result.code === "unavailable") return apiErrorBeside(view, "unavailable", result.message);
  const said = isUnsafe
    ? "a host is not waited for, as a person said: it may be on"
    : "a host is off, as a person said";
  deps.log.info({ host, apps: result.apps, silent }, said);
  return Response.json(view);
}

/** What is wrong with the name, or null. */
function refusalOf({ mesh }: ApiDeps, host: MemberName, named: readonly MemberView[]): Response | null {
  if (named.some(({ role }) => role === "proxy"))
    return apiError("invalid", `${host} is a proxy: \`grapevine proxy exclude ${host}\` says that it is off`);
  if (named.some(({ owner }) => mesh.store.head(owner) !== undefined)) return null;
  if (mesh.forgotten().some(({ name }) => name === host))
    return apiError("invalid", `${host} was forgotten: no step waits for its gate any more`);
  const hosts = mesh.members().flatMap(({ role, name }) => (role === "host" ? [name] : []));
  return apiError(
    "not-found",
    `there is no host ${host}; there are ${[...new Set(hosts)].sort().join(", ")}`,
  );
}

function aliveText(host: MemberName, hearing: readonly MemberName[]): string {
  const hear = hearing.length === 1 ? "hears" : "hear";
  return `${host} is alive: ${hearing.join(", ")} ${hear} it, so its gate can be asked. Drain it: \`grapevine host drain ${host}\`. Fence it once it is off; what \`--force-unsafe\` would do, and risk, \`grapevine host fence --help\` says`;
}
