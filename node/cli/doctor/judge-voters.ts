// Judge voters: whether anything can be decided now, and what would stop it next, judged from facts alone.

import { majorityOf } from "../../../mesh/index.ts";
import type { Result } from "../../../mesh/words.ts";
import type { SyncView } from "../../introspection/sync-view.ts";
import { type Finding, failure, fine, warning } from "./finding.ts";
import type { ClusterFacts, QuorumFacts } from "./gather-cluster.ts";

interface Counted {
  readonly all: number;
  readonly need: number;
  readonly live: readonly string[];
  readonly missing: readonly string[];
}

export function judgeVoters({
  voters,
  quorum,
  sync,
  members,
}: Pick<ClusterFacts, "voters" | "quorum" | "sync" | "members">): readonly Finding[] {
  if (!voters.ok) return [unknown(`the agent did not say who votes: ${voters.error}`)];
  const { list, settled, restoring } = voters.value;
  if (list === null)
    return [
      failure("voters", {
        found: "this cluster has no voters yet",
        means: "nothing can be deployed: nobody keeps what is desired",
        next: "grapevine voters init HOST HOST HOST --root-key cluster/root.key",
      }),
    ];
  const silent = silentOf(sync);
  const isLive = ({ name, connected }: { readonly name: string; readonly connected: boolean }) =>
    connected && !silent.has(name);
  const names = voters.value.voters;
  const counted: Counted = {
    all: names.length,
    need: majorityOf(voters.value),
    live: names.filter(isLive).map(({ name }) => name),
    missing: names.filter((voter) => !isLive(voter)).map(({ name }) => name),
  };
  const lost = members.filter(({ name, voter }) => !voter && counted.live.some((live) => live === name));
  return [
    judgeQuorum(counted, quorum),
    ...lost.map(({ name }) => lostMemory(name)),
    ...(settled ? [] : [unsettled(list, restoring)]),
  ];
}

function silentOf(sync: Result<SyncView>): ReadonlySet<string> {
  if (!sync.ok) return new Set();
  return new Set(sync.value.members.flatMap(({ name, reason }) => (reason === null ? [] : [name])));
}

function judgeQuorum({ all, need, live, missing }: Counted, quorum: QuorumFacts): Finding {
  const who = missing.length === 0 ? "" : `; missing: ${missing.join(", ")}`;
  const count = `${live.length} of ${all} voters live, ${need} decide${who}`;
  const start = `start the agents of ${missing.join(", ") || "the voters"} with their state_dir`;
  if (quorum.kind === "refused" || live.length < need) {
    const reason = quorum.kind === "answers" ? "" : `; ${quorum.reason}`;
    return failure("voters", {
      found: `no quorum: ${count}${reason}`,
      means: "traffic goes on, and nothing can be deployed, scaled or repaired until a majority is back",
      next: `${start}; gone for good: grapevine registers restore (docs/operations.md, Voters)`,
    });
  }
  if (quorum.kind !== "answers")
    return warning("voters", {
      found: `${count}; a read at a majority was not answered: ${quorum.reason}`,
      means: "the voters are slow, or the agent that was asked is of an earlier cut",
      next: "grapevine doctor once more, and from another host",
    });
  const read = `a read at a majority took ${quorum.tookMs} ms (${quorum.by})`;
  if (missing.length === 0) return fine("voters", `${count}; ${read}`);
  const more = live.length - need;
  return warning("voters", {
    found: `${count}; ${read}`,
    means:
      more === 0
        ? "it decides, and the next voter that goes stops all deploys"
        : `it decides, and outlives ${more} more`,
    next: `${start}; gone for good: grapevine voters remove ${missing[0]}, then grapevine voters add HOST`,
  });
}

/** Its disk was lost: the list names it, and it says that it does not vote. */
function lostMemory(name: string): Finding {
  return warning("voters", {
    found: `${name} is on the list of voters and says that it is none`,
    means: "its memory is not on its disk, so it counts as missing in each decision",
    next: `grapevine voters remove ${name}, then grapevine voters add ${name}`,
  });
}

function unsettled(list: number, isRestoring: boolean): Finding {
  return warning("voters", {
    found: `list ${list} is not settled${isRestoring ? ": a restore is not over" : ""}`,
    means: "not all registers were committed under it yet, and it cannot be changed until they are",
    next: isRestoring
      ? "grapevine registers restore, said again, goes on"
      : "wait some seconds; grapevine voters",
  });
}

function unknown(found: string): Finding {
  const means = "whether anything can be deployed is not known";
  return failure("voters", { found, means, next: "grapevine voters, of another agent: --api" });
}
