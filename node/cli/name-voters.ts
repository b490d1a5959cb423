// Name voters: how a list of voters comes into force that the cluster's root key signs: the agent plans it, we sign it with the
// key in our file, and the agent tells it to the voters. The key goes nowhere.

import type { VotersView } from "../api/voters.ts";
import { voterPlanShape, votersShape } from "./answers.ts";
import type { ApiClient } from "./api-client.ts";
import { UsageError } from "./session.ts";

/** For the hosts to make their seats, and for the agent to find out that no majority answers. */
const PLAN_TIMEOUT_MS = 15_000;
const INSTALL_TIMEOUT_MS = 30_000;

/** One of three may fail. */
const FIRST_VOTERS = 3;

/** Of a cluster with these hosts: the first three, or one, since two would do no better. */
export function firstVotersOf(hosts: readonly string[]): readonly string[] {
  return hosts.slice(0, hosts.length < FIRST_VOTERS ? 1 : FIRST_VOTERS);
}

export interface NamedVoters {
  readonly hosts: readonly string[];
  /** In place of voters of whom no majority is left. */
  readonly isRestore?: boolean;
  readonly rootKeyFile: string;
}

/** Throws `UsageError` for a file that is not the cluster's root key, and what the agent answers. */
export async function nameVoters(
  client: Pick<ApiClient, "json">,
  { hosts, rootKeyFile, isRestore = false }: NamedVoters,
  signal: AbortSignal,
): Promise<VotersView> {
  const planned = { method: "POST", path: "/v1/voters/plan", json: { hosts, restore: isRestore } } as const;
  const plan = voterPlanShape.parse(
    await client.json({ ...planned, isOwnWrite: true, answerTimeoutMs: PLAN_TIMEOUT_MS }, signal),
  );
  const list = new Uint8Array(Buffer.from(plan.list, "base64"));
  // Only who signs waits for it to be loaded.
  const { signVoterList } = await import("../../mesh/index.ts");
  const link = await signVoterList({ keyFile: rootKeyFile, cluster: plan.cluster }, list);
  if (!link.ok) throw new UsageError(link.error);
  const json = { link: Buffer.from(link.value).toString("base64") };
  const installed = { method: "POST", path: "/v1/voters/install", json } as const;
  return votersShape.parse(
    await client.json({ ...installed, isOwnWrite: true, answerTimeoutMs: INSTALL_TIMEOUT_MS }, signal),
  );
}

/** The same, unless there are voters already: then those, whoever they are. */
export async function nameFirstVoters(
  client: Pick<ApiClient, "json">,
  named: NamedVoters,
  signal: AbortSignal,
): Promise<VotersView> {
  const standing = votersShape.parse(await client.json({ method: "GET", path: "/v1/voters" }, signal));
  return standing.list === null ? nameVoters(client, named, signal) : standing;
}
