// Introspection: what is going on in the cluster, asked of any agent, which asks all members.

import type { Context, Hono } from "hono";
import { isName, type Mesh, vmName } from "../../mesh/index.ts";
import { viewDifference } from "../introspection/diff-view.ts";
import { viewSync } from "../introspection/sync-view.ts";
import { viewWhy } from "../introspection/why-view.ts";
import { apiError } from "./answer.ts";
import { memberNamed } from "./member-named.ts";
import type { ApiDeps, ApiEnv } from "./ports.ts";

export function addIntrospectionRoutes(app: Hono<ApiEnv>, deps: ApiDeps): void {
  const { mesh } = deps;
  app.get("/v1/sync", async ({ req }) => Response.json(await viewSync(mesh, req.raw.signal)));
  app.get("/v1/why/:vm", (context) => answerWhy(deps, context));
  app.get("/v1/diff", (context) => answerDiff(mesh, context));
}

async function answerWhy({ mesh, registers }: ApiDeps, { req }: Context<ApiEnv>): Promise<Response> {
  const name = req.param("vm") ?? "";
  if (!isName(name)) return apiError("invalid", "this is no VM's name");
  const why = await viewWhy(mesh, { vm: vmName(name), apps: registers.apps }, req.raw.signal);
  if (why !== null) return Response.json(why);
  return apiError(
    "not-found",
    `no member has heard of a VM ${name}; \`grapevine vms\` lists those there are`,
  );
}

async function answerDiff(mesh: Mesh, { req }: Context<ApiEnv>): Promise<Response> {
  const [a, b] = [memberNamed(mesh, req.query("a")), memberNamed(mesh, req.query("b"))];
  if (a instanceof Response) return a;
  if (b instanceof Response) return b;
  const difference = await viewDifference(mesh, { a, b }, req.raw.signal);
  return difference.ok ? Response.json(difference.value) : apiError("unavailable", difference.error);
}
