// Inspect members: what every member of the cluster holds, asked of each over the mesh, in parallel and bounded. Who does
// not answer is a row with the reason. A second look tells what is missing from what was just on its way.

import { setTimeout as sleep } from "node:timers/promises";
import {
  type Behind,
  behindOf,
  differencesOf,
  differingOwners,
  type EntryDifference,
  mismatchedOf,
  type Newest,
  newestOf,
  standing,
} from "../core/holdings.ts";
import type { OwnerId } from "../core/ids.ts";
import { INSPECT_AGAIN_MS, INSPECT_ANSWER_BYTES_MAX } from "../limits.ts";
import type { MemberView, Mesh, OwnerDigest } from "../mesh.ts";
import {
  INSPECT_DIGEST_SERVICE,
  INSPECT_ENTRIES_SERVICE,
  type InspectDigestRequest,
  type InspectEntriesRequest,
  type InspectedEntry,
  type InspectedMember,
  inspectDigestChunkShape,
  inspectEntriesChunkShape,
} from "../records/inspection.ts";
import { encodeRecord } from "../records/record-codec.ts";
import { fail, ok, type Result } from "../result.ts";
import { askForRecords } from "./ask-member.ts";
import { summarize } from "./inspection-service.ts";

type Asker = Pick<Mesh, "call" | "members" | "inspection">;

/** What one member holds, or why that is not known. */
export interface MemberSync {
  readonly member: MemberView;
  /** null: it answered. */
  readonly reason: string | null;
  readonly said: InspectedMember | null;
  /** From the question to its answer. */
  readonly tookMs: number;
  readonly digests: readonly OwnerDigest[];
  /** What it lacks of what anybody held at the first look. Of who did not answer: empty, and not known. */
  readonly behind: readonly Behind[];
  readonly mismatched: readonly OwnerId[];
}

export interface SyncReport {
  readonly members: readonly MemberSync[];
  readonly newest: ReadonlyMap<OwnerId, Newest>;
}

interface Answer {
  readonly said: InspectedMember;
  readonly digests: readonly OwnerDigest[];
}

/** Rejects only when `signal` aborts. */
export async function inspectSync(mesh: Asker, signal: AbortSignal): Promise<SyncReport> {
  const asked = await Promise.all(mesh.members().map((member) => askTimed(mesh, member, signal)));
  const holdings = asked.map(({ member, digests }) => ({ owner: member.owner, digests }));
  const newest = newestOf(holdings);
  const judged = asked.map((row) => judge(row, newest));
  const isDoubtful = ({ behind, mismatched }: MemberSync) => behind.length + mismatched.length > 0;
  if (!judged.some(isDoubtful)) return { members: judged, newest };
  await sleep(INSPECT_AGAIN_MS, undefined, { signal });
  const again = judged.map(async (row) => {
    if (!isDoubtful(row)) return row;
    return judge(await askTimed(mesh, row.member, signal), newest);
  });
  return { members: await Promise.all(again), newest };
}

async function askTimed(mesh: Asker, member: MemberView, signal: AbortSignal): Promise<MemberSync> {
  const startedAtMs = performance.now();
  const answer = await askDigest(mesh, member, signal);
  const tookMs = Math.round(performance.now() - startedAtMs);
  const none = { member, tookMs, behind: [], mismatched: [] };
  if (!answer.ok) return { ...none, reason: answer.error, said: null, digests: [] };
  return { ...none, reason: null, ...answer.value };
}

function judge(row: MemberSync, newest: ReadonlyMap<OwnerId, Newest>): MemberSync {
  if (row.reason !== null) return row;
  const { digests } = row;
  return { ...row, behind: behindOf(digests, newest), mismatched: mismatchedOf(digests, newest) };
}

/** Who holds what we hold says only that. */
async function askDigest(mesh: Asker, member: MemberView, signal: AbortSignal): Promise<Result<Answer>> {
  const own = mesh.inspection.digests();
  const summary = member.self ? null : summarize(own);
  const answer = await askForRecords(
    mesh,
    member,
    {
      service: INSPECT_DIGEST_SERVICE,
      request: encodeRecord({ format: 1, summary } satisfies InspectDigestRequest),
      bytesMax: INSPECT_ANSWER_BYTES_MAX,
      shape: inspectDigestChunkShape,
    },
    signal,
  );
  if (!answer.ok) return answer;
  const [head] = answer.value;
  if (head?.member == null) return fail("its answer cannot be read: it says nothing of itself");
  if (head.isSame) return ok({ said: head.member, digests: own.map((row) => ({ ...row, isStale: false })) });
  const rows = answer.value.flatMap(({ owners }) => owners);
  const digests = rows.map(([owner, incarnation, startId, counter, checksum, entries, isStale]) => {
    return { owner, version: { incarnation, startId, counter }, checksum, entries, isStale };
  });
  return ok({ said: head.member, digests });
}

// --- entries

export interface HeldEntries {
  readonly entries: readonly InspectedEntry[];
  /** There are more than an answer may have. */
  readonly isCut: boolean;
}

export async function inspectEntries(
  mesh: Asker,
  member: MemberView,
  question: Omit<InspectEntriesRequest, "format">,
  signal: AbortSignal,
): Promise<Result<HeldEntries>> {
  const answer = await askForRecords(
    mesh,
    member,
    {
      service: INSPECT_ENTRIES_SERVICE,
      request: encodeRecord({ format: 1, ...question } satisfies InspectEntriesRequest),
      bytesMax: INSPECT_ANSWER_BYTES_MAX,
      shape: inspectEntriesChunkShape,
    },
    signal,
  );
  if (!answer.ok) return answer;
  const entries = answer.value.flatMap((chunk) => chunk.entries);
  return ok({ entries, isCut: answer.value.some(({ isCut }) => isCut) });
}

/** What one of two members lacks, or has differently. Values are not among it. */
export interface Difference {
  readonly entries: readonly EntryDifference[];
  /** Owners that were compared, of whom the two agree or not. */
  readonly owners: number;
  /** More entries than an answer may have: there may be more differences. */
  readonly isCut: boolean;
}

export interface Pair {
  readonly left: MemberView;
  readonly right: MemberView;
}

/** Fails with the name of who does not answer. */
export async function inspectDifference(
  mesh: Asker,
  { left, right }: Pair,
  signal: AbortSignal,
): Promise<Result<Difference>> {
  const first = await look(mesh, { left, right }, signal);
  if (!first.ok || first.value.entries.length === 0) return first;
  await sleep(INSPECT_AGAIN_MS, undefined, { signal });
  const second = await look(mesh, { left, right }, signal);
  if (!second.ok) return second;
  return ok({ ...second.value, entries: standing(first.value.entries, second.value.entries) });
}

async function look(mesh: Asker, { left, right }: Pair, signal: AbortSignal): Promise<Result<Difference>> {
  const digests = await both({ left, right }, (member) => askDigest(mesh, member, signal));
  if (!digests.ok) return digests;
  const [lefts, rights] = digests.value.map((answer) => answer.digests) as [OwnerDigests, OwnerDigests];
  const owners = differingOwners(lefts, rights);
  const compared = new Set([...lefts, ...rights].map(({ owner }) => owner)).size;
  if (owners.length === 0) return ok({ entries: [], owners: compared, isCut: false });
  const question = { owners, keys: null, withValues: false };
  const held = await both({ left, right }, (member) => inspectEntries(mesh, member, question, signal));
  if (!held.ok) return held;
  const [leftHeld, rightHeld] = held.value;
  const whole = wholeOwners(owners, held.value);
  const kept = ({ entries }: HeldEntries) => entries.filter(({ owner }) => whole.has(owner));
  const isCut = leftHeld.isCut || rightHeld.isCut;
  return ok({ entries: differencesOf(kept(leftHeld), kept(rightHeld)), owners: compared, isCut });
}

/** Those before the one at which either answer was cut: of the rest nothing can be said. */
function wholeOwners(owners: readonly OwnerId[], answers: readonly HeldEntries[]): ReadonlySet<OwnerId> {
  const ends = answers.map(({ entries, isCut }) => {
    const last = entries.at(-1);
    return isCut && last !== undefined ? owners.indexOf(last.owner) : owners.length;
  });
  return new Set(owners.slice(0, Math.min(...ends)));
}

type OwnerDigests = readonly OwnerDigest[];

async function both<Value>(
  { left, right }: Pair,
  ask: (member: MemberView) => Promise<Result<Value>>,
): Promise<Result<readonly [Value, Value]>> {
  const [leftAnswer, rightAnswer] = await Promise.all([ask(left), ask(right)]);
  if (!leftAnswer.ok) return fail(describeSilence(left, leftAnswer.error));
  if (!rightAnswer.ok) return fail(describeSilence(right, rightAnswer.error));
  return ok([leftAnswer.value, rightAnswer.value]);
}

function describeSilence({ name, liveness: { state, why } }: MemberView, reason: string): string {
  return `${name} does not answer: ${reason}${state === "alive" || why === "" ? "" : ` (${state}: ${why})`}`;
}
