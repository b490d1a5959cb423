// Gather cluster: what one agent knows of all members, what each of them says of itself, and whether their ports can be reached
// from here. All questions go out side by side, each bounded; what is not answered is a fact too.

import { type ZodType, z } from "zod";
import { type HostPort, parseHostPort } from "../../../mesh/keys.ts";
import { fail, messageOf, ok, type Result } from "../../../mesh/words.ts";
import type { MemberRow } from "../../api/views.ts";
import type { QuorumView, VotersView } from "../../api/voters.ts";
import type { SyncView } from "../../introspection/sync-view.ts";
import { DOCTOR_ANSWER_MS, DOCTOR_ASKED_AT_ONCE } from "../../limits.ts";
import { memberRowsShape, votersShape } from "../answers.ts";
import { type ApiClient, ApiError } from "../api-client.ts";
import { syncViewShape } from "../introspection-answers.ts";
import { gatherNames, resolved } from "./gather-names.ts";
import { type ConnectFacts, tryConnect } from "./gather-ports.ts";

/** What a member says of itself. */
export interface AboutFacts {
  readonly node: string;
  /** null: its cut does not say. */
  readonly grapevine: string | null;
  readonly commit: string | null;
  readonly wire: number | null;
  /** Of an agent: its file names a gate. */
  readonly hasGate: boolean;
  /** Its clock minus that of this command, known to within `clockErrorMs` either way. */
  readonly clockMs: number;
  readonly clockErrorMs: number;
}

export interface ToldFacts {
  readonly name: string;
  readonly role: MemberRow["role"];
  readonly about: Result<AboutFacts>;
  /** By name; those with labels are left out. */
  readonly metrics: Result<ReadonlyMap<string, number>>;
}

/** `refused`: a voter tried and says why; `unknown`: nobody answered, or the agent's cut does not know the question. */
export type QuorumFacts =
  | ({ readonly kind: "answers" } & Pick<QuorumView, "by" | "tookMs" | "apps">)
  | { readonly kind: "refused" | "unknown"; readonly reason: string };

export interface ClusterFacts {
  readonly members: readonly MemberRow[];
  readonly sync: Result<SyncView>;
  readonly voters: Result<VotersView>;
  readonly quorum: QuorumFacts;
  readonly told: readonly ToldFacts[];
  /** By name; null: the agent is not on this machine, and what can be reached from here says nothing of it. */
  readonly connects: ReadonlyMap<string, ConnectFacts> | null;
}

interface Asked {
  readonly client: ApiClient;
  readonly signal: AbortSignal;
}

const quorumShape = z.looseObject({ by: z.string(), tookMs: z.number(), apps: z.number() });
const aboutShape = z.looseObject({
  node: z.string(),
  grapevine: z.string().nullish(),
  commit: z.string().nullish(),
  wire: z.number().nullish(),
  atMs: z.number(),
  config: z.looseObject({ gate: z.unknown().optional() }),
});
const MULTIADDR = /^\/(?:ip4|dns|dns4|dns6|ip6)\/([^/]+)\/tcp\/(\d+)$/;

/** `isLocal`: the agent is on this machine. Rejects when the agent does not even say who its members are. */
export async function gatherCluster(
  client: ApiClient,
  { isLocal }: { readonly isLocal: boolean },
  signal: AbortSignal,
): Promise<ClusterFacts> {
  // What is not known by then is told as not known, and all else is judged.
  const patience = AbortSignal.any([signal, AbortSignal.timeout(DOCTOR_ANSWER_MS)]);
  const asked = { client, signal: patience };
  const answers = [
    answerOf(asked, "/v1/sync", syncViewShape),
    answerOf(asked, "/v1/voters", votersShape),
    askQuorum(asked),
  ] as const;
  const members = memberRowsShape.parse(await get(asked, "/v1/members"));
  const present = members.filter(({ state }) => state !== "left");
  const [told, connects, sync, voters, quorum] = await Promise.all([
    askAll(asked, present),
    isLocal ? connectAll(present, signal) : null,
    ...answers,
  ]);
  return { members, sync, voters, quorum, told, connects };
}

function get({ client, signal }: Asked, path: string): Promise<unknown> {
  return client.json({ method: "GET", path, answerTimeoutMs: DOCTOR_ANSWER_MS }, signal);
}

async function answerOf<Value>(asked: Asked, path: string, shape: ZodType<Value>): Promise<Result<Value>> {
  try {
    const parsed = shape.safeParse(await get(asked, path));
    return parsed.success ? ok(parsed.data) : fail("its answer cannot be read: another release");
  } catch (error) {
    return fail(messageOf(error));
  }
}

async function askQuorum(asked: Asked): Promise<QuorumFacts> {
  try {
    const { by, tookMs, apps } = quorumShape.parse(await get(asked, "/v1/quorum"));
    return { kind: "answers", by: by as QuorumView["by"], tookMs, apps };
  } catch (error) {
    const isSaid = error instanceof ApiError && error.code === "unavailable";
    return { kind: isSaid ? "refused" : "unknown", reason: messageOf(error) };
  }
}

/** In their order, a few at once. */
async function askAll(asked: Asked, members: readonly MemberRow[]): Promise<readonly ToldFacts[]> {
  const told: ToldFacts[] = [];
  const waiting = members.entries();
  const work = async (): Promise<void> => {
    for (const [at, member] of waiting) told[at] = await askMember(asked, member);
  };
  await Promise.all(Array.from({ length: DOCTOR_ASKED_AT_ONCE }, work));
  return told;
}

async function askMember(asked: Asked, { name, role }: MemberRow): Promise<ToldFacts> {
  const path = `/v1/debug/members/${encodeURIComponent(name)}`;
  const [about, metrics] = await Promise.all([
    askAbout(asked, `${path}/about`),
    askMetrics(asked, `${path}/metrics`),
  ]);
  return { name, role, about, metrics };
}

async function askAbout(asked: Asked, path: string): Promise<Result<AboutFacts>> {
  const sentAtMs = Date.now();
  const answer = await answerOf(asked, path, aboutShape);
  const tookMs = Date.now() - sentAtMs;
  if (!answer.ok) return answer;
  const { node, grapevine = null, commit = null, wire = null, atMs, config } = answer.value;
  // It was said somewhere between the question and the answer.
  const clockMs = Math.round(atMs - (sentAtMs + tookMs / 2));
  const clockErrorMs = Math.ceil(tookMs / 2);
  const hasGate = config.gate !== null && config.gate !== undefined;
  return ok({ node, grapevine, commit, wire, hasGate, clockMs, clockErrorMs });
}

async function askMetrics(
  { client, signal }: Asked,
  path: string,
): Promise<Result<ReadonlyMap<string, number>>> {
  try {
    const { body } = await client.whole({ method: "GET", path, answerTimeoutMs: DOCTOR_ANSWER_MS }, signal);
    return ok(parseMetrics(Buffer.from(body).toString("utf8")));
  } catch (error) {
    return fail(messageOf(error));
  }
}

/** Of Prometheus' text format: the samples without labels. */
export function parseMetrics(text: string): ReadonlyMap<string, number> {
  const samples = text.matchAll(/^([a-zA-Z_:][\w:]*) (-?[\d.]+(?:e[+-]?\d+)?)$/gm);
  return new Map([...samples].map(([, name = "", value]) => [name, Number(value)]));
}

async function connectAll(
  members: readonly MemberRow[],
  signal: AbortSignal,
): Promise<ReadonlyMap<string, ConnectFacts>> {
  const at = members.map(({ name, addresses }) => ({ name, addresses: addresses.flatMap(hostPortOf) }));
  const hosts = at.flatMap(({ addresses }) => addresses.map(({ host }) => host));
  const names = await gatherNames(hosts, signal);
  const found = await Promise.all(
    at.map(async ({ name, addresses }) => {
      const tried = await Promise.all(
        addresses.map((address) => {
          const known = resolved(address, names);
          return known.ok ? tryConnect(known.address, signal) : known;
        }),
      );
      const best = tried.find(({ ok: isOpen }) => isOpen) ?? tried[0];
      return best === undefined ? [] : [[name, best] as const];
    }),
  );
  return new Map(found.flat());
}

/** "/ip4/10.0.0.1/tcp/7946". None of a kind that we do not write. */
export function hostPortOf(multiaddr: string): readonly HostPort[] {
  const [, host = "", port = ""] = MULTIADDR.exec(multiaddr) ?? [];
  const parsed = parseHostPort(host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`);
  return parsed.ok ? [parsed.value] : [];
}
