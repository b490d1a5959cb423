// Voters: who keeps what is desired, how that is changed, and the registers as a whole: their backup, and their restore.

import type { Context, Hono } from "hono";
import { z } from "zod";
import {
  decodeVoterLink,
  describeClaimedName,
  encodeRegistersBackup,
  encodeVoterList,
  isName,
  type MemberName,
  memberName,
  messageOf,
} from "../../mesh/index.ts";
import { apiError, parseJson, readBounded } from "./answer.ts";
import { relayToVoter } from "./apps.ts";
import type { ApiDeps, ApiEnv } from "./ports.ts";

interface VoterView {
  readonly id: string;
  readonly name: MemberName;
  /** To the agent that answers; of itself: true. */
  readonly connected: boolean;
  /** How the agent that answers judges it. */
  readonly state: string;
}

/** The voter list in force, as the agent that answers knows it. */
export interface VotersView {
  /** null: this cluster has no voters yet. */
  readonly list: number | null;
  /** False: not all registers were committed under it yet, and it cannot be changed until they are. */
  readonly settled: boolean;
  /** It was begun by `registers restore`, which is not over yet. */
  readonly restoring: boolean;
  /** In order of rank. */
  readonly voters: readonly VoterView[];
}

/** That a majority of the voters answers now, as a voter found by reading all registers there. */
export interface QuorumView {
  /** Which voter read. */
  readonly by: MemberName;
  readonly tookMs: number;
  readonly apps: number;
}

/** A list for the root key to sign. */
export interface VoterPlanView {
  readonly cluster: string;
  readonly number: number;
  /** `encodeVoterList`, in base64. */
  readonly list: string;
}

export interface RestoredView {
  readonly apps: readonly { readonly app: string; readonly epoch: number }[];
  /** What an app routes and does not have for itself: "hostname a.example belongs to app b". */
  readonly names: readonly string[];
}

export interface CollectedView {
  readonly apps: readonly { readonly app: string; readonly epoch: number }[];
  readonly asked: readonly MemberName[];
  readonly silent: readonly { readonly name: MemberName; readonly reason: string }[];
}

/** Of a link, base64: one list of seven. */
const LINK_BODY_BYTES_MAX = 64 * 1024;
/** Of a backup: 200 apps with records as large as they may be. */
const BACKUP_BYTES_MAX = 32 * 1024 * 1024;

const planShape = z.strictObject({ hosts: z.array(z.string()).min(1).max(7), restore: z.boolean() });
const linkShape = z.strictObject({ link: z.base64() });

export function addVoterRoutes(app: Hono<ApiEnv>, deps: ApiDeps): void {
  app.get("/v1/voters", (context) => context.json(viewVoters(deps)));
  app.get("/v1/quorum", (context) => quorum(deps, context));
  app.post("/v1/voters/plan", (context) => asked(context, () => plan(deps, context)));
  app.post("/v1/voters/install", (context) => asked(context, () => install(deps, context)));
  app.post("/v1/voters/:host", (context) => change(deps, context, "add"));
  app.delete("/v1/voters/:host", (context) => change(deps, context, "remove"));
  app.get("/v1/registers", (context) => backup(deps, context));
  app.post("/v1/registers/collect", (context) => asked(context, () => collect(deps, context)));
  app.post("/v1/registers/restore", (context) => asked(context, () => restore(deps, context)));
}

function viewVoters({ mesh, registers }: ApiDeps): VotersView {
  const { list } = registers.directory;
  const members = new Map(mesh.members().map((member) => [member.owner, member]));
  const voters = (list?.voters ?? []).map(({ id, name, owner }) => {
    const member = members.get(owner);
    const state = member?.liveness.state ?? "unknown";
    return { id, name, connected: member?.connected === true, state };
  });
  return {
    list: list?.number ?? null,
    settled: list?.isSettled ?? false,
    restoring: registers.directory.isRestoring,
    voters,
  };
}

/** By a person, at this agent: nobody else's word counts for it. */
async function asked(context: Context<ApiEnv>, answer: () => Promise<Response>): Promise<Response> {
  if (context.env?.isRelayed === true) return apiError("forbidden", "this is answered by who is asked alone");
  return answer();
}

async function plan(deps: ApiDeps, context: Context<ApiEnv>): Promise<Response> {
  const body = await bodyOf(context, LINK_BODY_BYTES_MAX);
  const asked = planShape.safeParse(body);
  if (!asked.success || !asked.data.hosts.every(isName)) {
    return apiError("invalid", 'the body must name the hosts: { "hosts": ["host-1"], "restore": false }');
  }
  const { registers, voting, self } = deps;
  const { hosts, restore: isRestore } = asked.data;
  const names = hosts.map(memberName);
  if (new Set(names).size !== names.length) return apiError("invalid", "a host is named twice");
  if (isRestore && !names.includes(self.host)) {
    return apiError("invalid", `${self.host} restores the registers, so it must be one of the new voters`);
  }
  const { signal } = context.req.raw;
  const planned = await (isRestore ? voting.planRestored(names, signal) : voting.planFirst(names, signal));
  if (!planned.ok) return apiError("invalid", planned.error);
  return Response.json({
    cluster: registers.directory.cluster,
    number: planned.value.number,
    list: Buffer.from(encodeVoterList(planned.value)).toString("base64"),
  } satisfies VoterPlanView);
}

async function install(deps: ApiDeps, context: Context<ApiEnv>): Promise<Response> {
  const parsed = linkShape.safeParse(await bodyOf(context, LINK_BODY_BYTES_MAX));
  const bytes = parsed.success ? Buffer.from(parsed.data.link, "base64") : null;
  if (bytes === null || !decodeVoterLink(bytes).ok) {
    return apiError("invalid", 'the body must be a signed voter list: { "link": "…" }');
  }
  const installed = await deps.voting.install(new Uint8Array(bytes), context.req.raw.signal);
  return installed.ok ? Response.json(viewVoters(deps)) : apiError("unavailable", installed.error);
}

async function change(deps: ApiDeps, context: Context<ApiEnv>, kind: "add" | "remove"): Promise<Response> {
  const { voting } = deps;
  const name = context.req.param("host") ?? "";
  if (!isName(name)) return apiError("invalid", "this is no host's name");
  if (voting.register === null) return relayToVoter(deps, context);
  const host = memberName(name);
  const { signal } = context.req.raw;
  const changed = await (kind === "add" ? add(deps, host, signal) : remove(deps, host, signal));
  if (typeof changed === "string") return apiError("invalid", changed);
  return changed.ok ? Response.json(viewVoters(deps)) : apiError("unavailable", changed.error);
}

type Changed = string | Awaited<ReturnType<ApiDeps["voting"]["changeVoters"]>>;

async function add({ voting }: ApiDeps, host: MemberName, signal: AbortSignal): Promise<Changed> {
  const seats = await voting.seatsOf([host], signal);
  const voter = seats.ok ? seats.value[0] : undefined;
  if (voter === undefined) return seats.ok ? `${host} offers no seat` : seats.error;
  return voting.changeVoters({ kind: "add", voter }, signal);
}

async function remove(
  { voting, registers }: ApiDeps,
  host: MemberName,
  signal: AbortSignal,
): Promise<Changed> {
  const voter = registers.directory.list?.voters.find(({ name }) => name === host);
  if (voter === undefined) return `${host} is no voter: \`grapevine voters\` lists them`;
  return voting.changeVoters({ kind: "remove", id: voter.id }, signal);
}

async function quorum(deps: ApiDeps, context: Context<ApiEnv>): Promise<Response> {
  const { register } = deps.voting;
  if (register === null) return relayToVoter(deps, context);
  const startedAtMs = performance.now();
  try {
    await register.readAll();
  } catch (error) {
    return apiError("unavailable", messageOf(error));
  }
  const tookMs = Math.round(performance.now() - startedAtMs);
  return Response.json({ by: deps.self.host, tookMs, apps: register.known().length } satisfies QuorumView);
}

/** As a majority has them, at a voter. */
async function backup(deps: ApiDeps, context: Context<ApiEnv>): Promise<Response> {
  const { voting, registers } = deps;
  if (voting.register === null) return relayToVoter(deps, context);
  try {
    await voting.register.readAll();
  } catch (error) {
    return apiError("unavailable", messageOf(error));
  }
  return Response.json(encodeRegistersBackup(registers));
}

async function collect(deps: ApiDeps, context: Context<ApiEnv>): Promise<Response> {
  const { voting, registers } = deps;
  const saved = await bodyOf(context, BACKUP_BYTES_MAX);
  if (saved !== undefined) {
    const taken = registers.takeBackup(saved);
    if (!taken.ok)
      return apiError("invalid", `this is no backup of this cluster's registers: ${taken.error}`);
  }
  const { asked: answered, silent } = await voting.collect(context.req.raw.signal);
  return Response.json({
    apps: epochsOf(deps),
    asked: answered.map(({ name }) => name),
    silent: silent.map(({ member, reason }) => ({ name: member.name, reason })),
  } satisfies CollectedView);
}

async function restore(deps: ApiDeps, context: Context<ApiEnv>): Promise<Response> {
  const restored = await deps.voting.restore(context.req.raw.signal);
  if (!restored.ok) return apiError("unavailable", restored.error);
  const names = restored.value.faults.map((fault) =>
    fault.code === "full"
      ? "there is no room for more names"
      : `${describeClaimedName(fault.name)} belongs to app ${fault.by}`,
  );
  return Response.json({ apps: epochsOf(deps), names } satisfies RestoredView);
}

function epochsOf({ registers }: Pick<ApiDeps, "registers">): RestoredView["apps"] {
  return registers.apps.all().map(({ record, epoch }) => ({ app: record.app, epoch }));
}

/** Undefined: there is none, or it is no JSON. */
async function bodyOf(context: Context<ApiEnv>, bytesMax: number): Promise<unknown> {
  const bytes = await readBounded(context.req.raw.body, bytesMax);
  return bytes === null || bytes.length === 0 ? undefined : parseJson(bytes)?.json;
}
