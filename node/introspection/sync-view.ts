// Sync view: of each member, whether it holds what the cluster holds; and if not, what it lacks, of whom, or why that is not
// known. The answer to "who is behind?", from any agent, also during a fault.

import {
  compareText,
  inspectSync,
  type MemberName,
  type MemberRole,
  type MemberSync,
  type MemberView,
  type Mesh,
  type OwnerId,
  type ProxyStatusAnswer,
  type Result,
} from "../../mesh/index.ts";
import { OwnerNames, secondsSince, type VersionView, viewVersion } from "./names.ts";
import { askProxyStatus } from "./proxy-status.ts";

interface BehindView {
  readonly owner: OwnerId;
  readonly name: MemberName | null;
  /** What it lacks of that owner's newest start. */
  readonly writes: number;
  /** null: it holds nothing of that owner. */
  readonly held: VersionView | null;
  readonly newest: VersionView;
}

interface MemberSyncView {
  readonly name: MemberName;
  readonly role: MemberRole;
  readonly owner: OwnerId;
  /** The agent that answers. */
  readonly self: boolean;
  /** As that agent judges it. */
  readonly state: MemberView["liveness"]["state"];
  readonly forSeconds: number;
  readonly why: string;
  readonly connected: boolean;
  /** Why it did not answer; null: it did. */
  readonly reason: string | null;
  readonly tookMs: number;
  /** It holds all that anybody held when it was asked. null: not known. */
  readonly synced: boolean | null;
  readonly behind: readonly BehindView[];
  /** Of whom it holds the newest version with other values than the owner: broken copies, which are repaired. */
  readonly mismatched: readonly { readonly owner: OwnerId; readonly name: MemberName | null }[];
  readonly owners: number | null;
  readonly entries: number | null;
  /** Of whom it knows only what its disk had: nobody has confirmed it since its start. */
  readonly stale: readonly (MemberName | OwnerId)[];
  readonly lagMs: number | null;
  readonly uptimeMs: number | null;
  readonly describe: readonly string[];
  /** Of a proxy that answered. */
  readonly proxy: Pick<ProxyStatusAnswer, "serving" | "stale" | "serial"> | null;
}

export interface SyncView {
  readonly askedBy: MemberName;
  /** All that are not known to have left answered, and hold the same. */
  readonly synced: boolean;
  readonly members: readonly MemberSyncView[];
}

/** Rejects only when `signal` aborts. */
export async function viewSync(mesh: Mesh, signal: AbortSignal): Promise<SyncView> {
  const proxies = mesh.members().filter(({ role, connected }) => role === "proxy" && connected);
  const asked = proxies.map(async (proxy) => {
    return [proxy.owner, await askProxyStatus(mesh, proxy, null, signal)] as const;
  });
  const [report, answers] = await Promise.all([inspectSync(mesh, signal), Promise.all(asked)]);
  const statuses = new Map<OwnerId, Result<ProxyStatusAnswer>>(answers);
  const names = OwnerNames.of(mesh);
  const rows = report.members.map((row) => viewMember(row, statuses.get(row.member.owner), names));
  rows.sort((left, right) => compareText(left.role, right.role) || compareText(left.name, right.name));
  const synced = rows.every((row) => row.synced === true || row.state === "left");
  return { askedBy: mesh.self.name, synced, members: rows };
}

function viewMember(
  { member, reason, said, tookMs, digests, behind, mismatched }: MemberSync,
  status: Result<ProxyStatusAnswer> | undefined,
  names: OwnerNames,
): MemberSyncView {
  const { name, role, owner, self, connected } = member;
  const { state, why, sinceMs } = member.liveness;
  const isAnswered = reason === null;
  const sum = digests.reduce((total, digest) => total + digest.entries, 0);
  return {
    name,
    role,
    owner,
    self,
    state,
    forSeconds: secondsSince(sinceMs),
    why,
    connected,
    reason,
    tookMs,
    synced: isAnswered ? behind.length + mismatched.length === 0 : null,
    behind: behind.map(({ owner: of, writes, held, newest }) => ({
      owner: of,
      name: names.name(of),
      writes,
      held: held && viewVersion(held),
      newest: viewVersion(newest),
    })),
    mismatched: mismatched.map((of) => ({ owner: of, name: names.name(of) })),
    owners: isAnswered ? digests.length : null,
    entries: isAnswered ? sum : null,
    stale: digests.filter(({ isStale }) => isStale).map((digest) => names.name(digest.owner) ?? digest.owner),
    lagMs: said?.lagMs ?? null,
    uptimeMs: said?.uptimeMs ?? null,
    describe: said?.describe ?? [],
    proxy: status?.ok === true ? viewProxy(status.value) : null,
  };
}

function viewProxy({ serving, stale, serial }: ProxyStatusAnswer): MemberSyncView["proxy"] {
  return { serving, stale, serial };
}
