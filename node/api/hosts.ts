// Hosts: the word of a person that one is gone for good. Nobody who is still heard is forgotten.

import type { Context, Hono } from "hono";
import {
  describeDuration,
  isName,
  type MemberName,
  memberName,
  messageOf,
  type OwnerId,
  type Version,
  type VmName,
  whoHears,
} from "../../mesh/index.ts";
import { apiError, apiErrorBeside } from "./answer.ts";
import { type AppliedView, appliedView, timeoutOf } from "./applied-view.ts";
import type { ApiDeps, ApiEnv } from "./ports.ts";
import { vmRows } from "./views.ts";

/** What forgetting a host answers. */
export interface HostForgottenView extends AppliedView {
  readonly host: MemberName;
  /** `before`: it was said already; members that have not heard of it yet are waited for all the same. */
  readonly forgotten: "now" | "before";
  /** VMs of it that records still name: nobody routes to them. */
  readonly vms: readonly { readonly vm: VmName; readonly app: string }[];
  /** Who did not say whether they still hear it. */
  readonly silent: readonly MemberName[];
}

export function addHostRoutes(app: Hono<ApiEnv>, deps: ApiDeps): void {
  app.post("/v1/hosts/:host/forget", (context) => answerForget(deps, context));
}

async function answerForget(deps: ApiDeps, context: Context<ApiEnv>): Promise<Response> {
  if (context.env?.isRelayed === true)
    return apiError("forbidden", "forgetting is said by who is asked alone");
  const timeoutMs = timeoutOf(context.req.query("timeout"));
  if (typeof timeoutMs === "string") return apiError("invalid", timeoutMs);
  const name = context.req.param("host") ?? "";
  if (!isName(name)) return apiError("invalid", "this is no host's name");
  const host = memberName(name);
  const lost = await findLost(deps, host, context.req.raw.signal);
  if (lost.kind === "refused") return lost.response;
  const vms = lost.forgotten === "before" ? [] : vmsNamedOn(deps, host);
  return forget(deps, { host, vms, ...lost }, timeoutMs, context.req.raw.signal);
}

type Found =
  | { readonly kind: "refused"; readonly response: Response }
  /** Owners of that name whom nobody hears. */
  | ({ readonly kind: "lost" } & Pick<Lost, "owners" | "forgotten" | "silent">);

async function findLost({ mesh, registers }: ApiDeps, host: MemberName, signal: AbortSignal): Promise<Found> {
  const refuse = (code: "invalid" | "not-found" | "alive", message: string): Found => ({
    kind: "refused",
    response: apiError(code, message),
  });
  const named = mesh.named(host);
  if (named.length === 0) {
    const owners = mesh.forgotten().flatMap(({ owner, name }) => (name === host ? [owner] : []));
    return owners.length > 0
      ? { kind: "lost", owners, forgotten: "before", silent: [] }
      : refuse("not-found", `there is no host ${host}; \`grapevine members\` lists them`);
  }
  if (named.some(({ role }) => role === "proxy"))
    return refuse(
      "invalid",
      `${host} is a proxy, and deploys wait for every registered proxy: start it again, or another under its name`,
    );
  if (registers.voterNames.includes(host))
    return refuse(
      "invalid",
      `${host} is a voter: \`grapevine voters remove ${host}\` first, or bring it back from its disk`,
    );
  const asked = await Promise.all(
    named.map(async (view) => ({ view, ...(await whoHears(mesh, view, signal)) })),
  );
  const owners = asked.filter(({ hearing }) => hearing.length === 0).map(({ view }) => view.owner);
  const silent = [...new Set(asked.flatMap((one) => one.silent))];
  if (owners.length > 0) return { kind: "lost", owners, forgotten: "now", silent };
  const hearing = [...new Set(asked.flatMap((one) => one.hearing))].join(", ");
  return refuse(
    "alive",
    `${host} is alive: ${hearing} ${hearing.includes(",") ? "hear" : "hears"} it. Stop its agent first`,
  );
}

interface Lost {
  readonly host: MemberName;
  readonly owners: readonly OwnerId[];
  readonly forgotten: HostForgottenView["forgotten"];
  readonly silent: readonly MemberName[];
  readonly vms: HostForgottenView["vms"];
}

async function forget(
  { mesh, log }: ApiDeps,
  { host, owners, forgotten, silent, vms }: Lost,
  timeoutMs: number,
  signal: AbortSignal,
): Promise<Response> {
  let version: Version | undefined;
  try {
    for (const owner of owners) version = (await mesh.forget(owner)) ?? version;
  } catch (error) {
    // Of two owners of one name the first may be forgotten by then.
    const said = version === undefined ? "nothing was said" : "only a part was said; say it again";
    return apiError("unavailable", `${mesh.self.name} cannot write its disk, ${said}: ${messageOf(error)}`);
  }
  const patience = AbortSignal.any([signal, AbortSignal.timeout(timeoutMs)]);
  const report =
    version === undefined ? { acks: [], missing: [] } : await mesh.whenApplied(version, patience);
  if (version !== undefined) log.info({ host, silent }, "a host is gone for good, as a person said");
  const view = { host, forgotten, vms, silent, ...appliedView(report) } satisfies HostForgottenView;
  if (report.missing.length === 0) return Response.json(view);
  const names = report.missing.map(({ name, why }) => `${name} (${why})`).join(", ");
  const message = `${host} is forgotten, and it stands; not heard within ${describeDuration(timeoutMs)} by ${names}`;
  return apiErrorBeside(view, "timed-out", message);
}

/** VMs of that host that records name. */
export function vmsNamedOn(
  { mesh, registers }: Pick<ApiDeps, "mesh" | "registers">,
  host: MemberName,
): HostForgottenView["vms"] {
  const rows = vmRows(mesh, registers.apps.all()).filter((row) => row.host === host && row.phase !== null);
  return rows.map(({ vm, app }) => ({ vm, app }));
}
