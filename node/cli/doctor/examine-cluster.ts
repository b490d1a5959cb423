// Examine cluster: all checks of what one running agent and its members tell, side by side.

import type { ApiClient } from "../api-client.ts";
import { type Finding, fine } from "./finding.ts";
import { gatherCluster } from "./gather-cluster.ts";
import {
  judgeBehind,
  judgeClocks,
  judgeLag,
  judgeProxies,
  judgeReach,
  judgeVersions,
} from "./judge-members.ts";
import { judgeDisks, judgeGates } from "./judge-told.ts";
import { judgeVoters } from "./judge-voters.ts";

export interface AskedAgent {
  readonly name: string;
  readonly pid: number;
  readonly address: string;
  /** On this machine. */
  readonly isLocal: boolean;
}

export async function examineCluster(
  client: ApiClient,
  agent: AskedAgent,
  signal: AbortSignal,
): Promise<readonly Finding[]> {
  const facts = await gatherCluster(client, agent, signal);
  return [
    fine("agent", `${agent.name} answers at ${agent.address} (pid ${agent.pid})`),
    ...judgeReach(facts),
    ...judgeVoters(facts),
    ...judgeGates(facts.told),
    ...judgeProxies(facts.sync),
    ...judgeBehind(facts),
    ...judgeLag(facts),
    ...judgeClocks(facts.told, agent.name),
    ...judgeVersions(facts.told),
    ...judgeDisks(facts.told),
  ];
}
