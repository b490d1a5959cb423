// Apps: what is asked of the coordinator. An agent that drives answers itself; any other has a voter answer.

import type { Context, Hono } from "hono";
import {
  type AppName,
  appName,
  isName,
  type MemberView,
  type Mesh,
  type VmName,
  vmName,
} from "../../mesh/index.ts";
import type { Deploys } from "../deploy/deploys.ts";
import {
  apiError,
  bodyTooLarge,
  endedBy,
  LINES_TYPE,
  noAppName,
  readBounded,
  streamed,
  unknownApp,
} from "./answer.ts";
import { withHeartbeat } from "./heartbeat.ts";
import { holder } from "./hold-routes.ts";
import type { ApiDeps, ApiEnv } from "./ports.ts";
import { RELAY_BODY_BYTES_MAX, relay } from "./relay.ts";
import { submitted } from "./submitted.ts";
import { rollback, scale, setTraffic } from "./traffic-routes.ts";
import { factsOf } from "./views.ts";

/** An empty line when nothing changed for so long, so that the reader can tell silence from a dead peer. */
const WATCH_HEARTBEAT_MS = 2_000;

export type DriverAnswer = (deploys: Deploys, context: Context<ApiEnv>) => Promise<Response> | Response;

export function addAppRoutes(app: Hono<ApiEnv>, deps: ApiDeps): void {
  const driven = (answer: DriverAnswer) => (context: Context<ApiEnv>) => answerOrRelay(deps, answer, context);
  app.get(
    "/v1/apps",
    driven((deploys) => Response.json(deploys.views())),
  );
  app.get("/v1/apps/:app", driven(withApp((deploys, name) => viewOf(deploys, name))));
  app.get("/v1/apps/:app/watch", driven(withApp(watchView)));
  app.delete(
    "/v1/apps/:app",
    driven(
      withApp(async (deploys, name, context) => {
        const removesData = context.req.query("data") === "remove";
        return submitted(await deploys.destroy(name, removesData));
      }),
    ),
  );
  app.post(
    "/v1/apps/:app/promote",
    driven(withApp(async (deploys, name) => submitted(await deploys.promote(name)))),
  );
  app.post(
    "/v1/apps/:app/abort",
    driven(withApp(async (deploys, name) => submitted(await deploys.abort(name)))),
  );
  app.post(
    "/v1/apps/:app/pause",
    driven(withApp(async (deploys, name) => submitted(await deploys.pause(name)))),
  );
  app.post(
    "/v1/apps/:app/resume",
    driven(withApp(async (deploys, name) => submitted(await deploys.resume(name)))),
  );
  app.post("/v1/apps/:app/traffic", driven(withApp(setTraffic)));
  app.post("/v1/apps/:app/rollback", driven(withApp(rollback)));
  for (const verb of ["hold", "release"] as const)
    app.post(`/v1/apps/:app/${verb}`, driven(withApp(holder(verb))));
  app.post("/v1/apps/:app/scale", driven(withApp(scale)));
  app.post(
    "/v1/apps/:app/restart",
    driven(withApp(async (deploys, name) => submitted(await deploys.restart(name)))),
  );
  app.post("/v1/vms/:vm/stop", driven(stopVm));
}

export async function answerOrRelay(
  deps: ApiDeps,
  answer: DriverAnswer,
  context: Context<ApiEnv>,
): Promise<Response> {
  const deploys = deps.deploys();
  return deploys === null ? relayToVoter(deps, context) : answer(deploys, context);
}

/** Has a voter answer it. */
export async function relayToVoter(
  deps: ApiDeps,
  context: Context<ApiEnv>,
  body?: Uint8Array,
): Promise<Response> {
  const { mesh, registers, self } = deps;
  if (context.env?.isRelayed === true) return apiError("unavailable", `${self.host} is no voter`);
  const { voterNames } = registers;
  if (voterNames.length === 0) return apiError("unavailable", NO_VOTERS);
  const voter = connectedVoter(deps);
  if (voter === undefined)
    return apiError("unavailable", `no voter can be reached: ${voterNames.join(", ")}`);
  return relayTo(mesh, voter, context, body);
}

const NO_VOTERS =
  "this cluster has no voters yet, which keep what is desired: `grapevine voters init NAME …` names one, or three";

/** Has `target` answer the request as it is, or with `given` as its body. */
export async function relayTo(
  mesh: Mesh,
  target: MemberView,
  context: Context<ApiEnv>,
  given?: Uint8Array,
): Promise<Response> {
  const { method, url, body: stream, signal } = context.req.raw;
  const body = given ?? (await readBounded(stream, RELAY_BODY_BYTES_MAX));
  if (body === null) return bodyTooLarge(RELAY_BODY_BYTES_MAX);
  const { pathname, search } = new URL(url);
  return relay(mesh, target, { method, path: `${pathname}${search}`, body }, signal);
}

/** The first by rank that can be reached, and that says that it votes: one that lost its disk does not. */
function connectedVoter({ mesh, registers }: ApiDeps): MemberView | undefined {
  const members = new Map(mesh.members().map((member) => [member.owner, member]));
  const voters = (registers.directory.list?.voters ?? []).flatMap(({ owner }) => members.get(owner) ?? []);
  return voters.find((member) => member.connected && !member.self && factsOf(mesh, member)?.voter);
}

type AppAnswer = (deploys: Deploys, name: AppName, context: Context<ApiEnv>) => Promise<Response> | Response;

function withApp(answer: AppAnswer): DriverAnswer {
  return (deploys, context) => {
    const name = context.req.param("app") ?? "";
    return isName(name) ? answer(deploys, appName(name), context) : noAppName(name);
  };
}

function viewOf(deploys: Deploys, name: AppName): Response {
  const view = deploys.view(name);
  return view === null ? unknownApp(name) : Response.json(view);
}

function watchView(deploys: Deploys, name: AppName, context: Context<ApiEnv>): Response {
  if (deploys.view(name) === null) return unknownApp(name);
  const ended = endedBy(context.req.raw.signal);
  const lines = viewLines(deploys.watch(name, ended.signal), () => {
    const view = deploys.view(name);
    return view?.rollout?.state === "running" ? view : null;
  });
  return new Response(streamed(lines, ended), { headers: { "content-type": LINES_TYPE } });
}

/**
 * While something moves its view is the heartbeat: how long somebody has been silent changes without anything that happens. `moving`: the
 * newest view then, else null.
 */
export async function* viewLines<View>(
  views: AsyncIterable<View>,
  moving: () => View | null,
): AsyncGenerator<Uint8Array> {
  const encoder = new TextEncoder();
  for await (const view of withHeartbeat(views, WATCH_HEARTBEAT_MS)) {
    const said = view ?? moving();
    yield encoder.encode(said === null ? "\n" : `${JSON.stringify(said)}\n`);
  }
}

async function stopVm(deploys: Deploys, context: Context<ApiEnv>): Promise<Response> {
  const name = context.req.param("vm") ?? "";
  if (!isName(name)) return apiError("invalid", "this is no VM's name");
  return submitted(await deploys.stopVm(vmName(name) satisfies VmName));
}
