// API: what people and the command line ask of an agent. Any agent answers for the whole cluster: what another must answer
// is relayed to it.

import { type Context, Hono, type MiddlewareHandler } from "hono";
import { bundleHash, isBundleHash, isName, vmName } from "../../mesh/index.ts";
import { apiError, endedBy, streamed } from "./answer.ts";
import { addAppRoutes, relayTo } from "./apps.ts";
import { ApiCounters } from "./counters.ts";
import { addDebugRoutes } from "./debug.ts";
import { addDeployRoute } from "./deploy-route.ts";
import { addEntryRoutes } from "./entries.ts";
import { addHostCordonRoutes } from "./host-cordon.ts";
import { addHostDrainRoutes } from "./host-drain.ts";
import { addHostFenceRoutes } from "./host-fence.ts";
import { addHostRoutes } from "./hosts.ts";
import { addIntrospectionRoutes } from "./introspection.ts";
import { LOG_LINES_DEFAULT, LOG_LINES_MAX, readLog } from "./logs.ts";
import { metricsText } from "./metrics.ts";
import type { ApiDeps, ApiEnv } from "./ports.ts";
import { addProxyRoutes } from "./proxies.ts";
import { addQueryRoutes } from "./query.ts";
import { serveRelay } from "./relay.ts";
import { addRolloutRoutes } from "./rollouts.ts";
import { askProxies } from "./routes.ts";
import { hostOfVm, memberRows, vmRows } from "./views.ts";
import { addVoterRoutes } from "./voters.ts";
import { addWatchRoutes } from "./watch.ts";

const LOOPBACK_NAME = /^(?:localhost|127(?:\.\d{1,3}){3}|\[::1\])$/;

const BUNDLE_ERRORS = { "too-large": "too-large", mismatch: "invalid", "no-space": "unavailable" } as const;

/** Also answers what other agents relay here over the mesh. */
export function createApi(deps: ApiDeps): Hono<ApiEnv> {
  const app = new Hono<ApiEnv>();
  const counters = new ApiCounters();
  const metrics = (): string => metricsText(deps.mesh, `${deps.metrics()}\n${counters.text()}`);
  app.use(refuseWebPages);
  app.get("/metrics", (context) => context.text(metrics()));
  addClusterRoutes(app, deps);
  addAppRoutes(app, deps);
  addDeployRoute(app, deps);
  addRolloutRoutes(app, deps);
  addBundleRoutes(app, deps);
  addEntryRoutes(app, deps);
  addIntrospectionRoutes(app, deps);
  addDebugRoutes(app, deps, metrics);
  addWatchRoutes(app, deps, counters);
  addQueryRoutes(app, deps, counters);
  addHostRoutes(app, deps);
  addHostCordonRoutes(app, deps);
  addHostDrainRoutes(app, deps);
  addHostFenceRoutes(app, deps);
  addProxyRoutes(app, deps);
  addVoterRoutes(app, deps);
  app.notFound(({ req }) => apiError("not-found", `there is no ${req.method} ${req.path}`));
  app.onError((error, context) => answerError(error, context, deps));
  serveRelay(deps.mesh, (request, bindings) => app.fetch(request, bindings));
  return app;
}

function addClusterRoutes(app: Hono<ApiEnv>, deps: ApiDeps): void {
  const { mesh, self } = deps;
  app.get("/v1/health", (context) =>
    context.json({ status: "ok", name: self.host, pid: process.pid, voter: deps.deploys() !== null }),
  );
  app.get("/v1/members", (context) => context.json(memberRows(mesh, self)));
  app.get("/v1/vms", (context) => context.json(vmRows(mesh, deps.registers.apps.all())));
  app.get("/v1/vms/:vm/logs", (context) => answerLogs(deps, context));
  app.get("/v1/routes", async (context) => context.json(await askProxies(mesh, context.req.raw.signal)));
}

function addBundleRoutes(app: Hono<ApiEnv>, { bundles }: ApiDeps): void {
  const badHash = () => apiError("invalid", "a bundle is named by its SHA-256, 64 lower-case hex digits");
  app.get("/v1/bundles/:hash", async ({ req }) => {
    const hash = req.param("hash");
    if (!isBundleHash(hash)) return badHash();
    return (await bundles.touch(hash)) ? Response.json({ hash }) : apiError("not-found", "not on this host");
  });
  app.put("/v1/bundles/:hash", async ({ req }) => {
    const hash = req.param("hash");
    if (!isBundleHash(hash)) return badHash();
    const put = await bundles.put(bundleHash(hash), req.raw.body ?? emptyBody());
    if (put.code === "stored") return Response.json({ hash }, { status: 201 });
    return apiError(BUNDLE_ERRORS[put.code], put.message);
  });
}

async function answerLogs(deps: ApiDeps, context: Context<ApiEnv>): Promise<Response> {
  const name = context.req.param("vm") ?? "";
  const lines = Number(context.req.query("lines") ?? LOG_LINES_DEFAULT);
  if (!isName(name)) return apiError("invalid", "this is no VM's name");
  if (!Number.isInteger(lines) || lines < 0 || lines > LOG_LINES_MAX)
    return apiError("invalid", `lines must be a whole number from 0 to ${LOG_LINES_MAX}`);
  const file = deps.vms.logFile(vmName(name));
  if (file !== null) return streamLog(file, lines, context);
  const host = context.env?.isRelayed === true ? undefined : hostOfVm(deps.mesh, vmName(name));
  if (host === undefined || host.self) return apiError("not-found", `no host has a VM ${name}`);
  if (!host.connected) return apiError("unavailable", `${host.name}, the host of ${name}, cannot be reached`);
  return relayTo(deps.mesh, host, context);
}

function streamLog(file: string, lines: number, context: Context<ApiEnv>): Response {
  const ended = endedBy(context.req.raw.signal);
  const isTrue = ["", "1", "true"].includes(context.req.query("follow") ?? "false");
  const log = readLog(file, { lines, follow: isTrue }, ended.signal);
  return new Response(streamed(log, ended), { headers: { "content-type": "text/plain; charset=utf-8" } });
}

/**
 * A web page in a browser on this machine can reach loopback too. It cannot leave out `Origin` where that matters, nor,
 * after rebinding its own name to 127.0.0.1, the name in `Host`.
 */
const refuseWebPages: MiddlewareHandler<ApiEnv> = async (context, next) => {
  const { origin, hostname } = new URL(context.req.url);
  if (!LOOPBACK_NAME.test(hostname)) return apiError("forbidden", "this API answers on loopback names alone");
  const from = context.req.header("origin");
  if (from !== undefined && from !== origin) return apiError("forbidden", "web pages may not use this API");
  return next();
};

function answerError(error: Error, context: Context<ApiEnv>, { log }: ApiDeps): Response {
  if (context.req.raw.signal.aborted) return apiError("unavailable", "the client has gone");
  log.error({ err: error, method: context.req.method, path: context.req.path }, "api: request failed");
  return apiError("internal", "this is a bug; the agent's log has it");
}

async function* emptyBody(): AsyncGenerator<Uint8Array> {}
