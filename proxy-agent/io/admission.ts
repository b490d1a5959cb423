// Admission: a new proxy serves only once it holds the current state. Order matters: first every voter that lives holds our
// registration, then one of them reads all records at a majority. Any voter that lives may drive a deploy: what it commits from
// then on has us in its ack sets, and what was committed before is read. A voter that is dead drives nothing, so nobody waits
// for it; one that only we hold dead is what the gates are for (design, sections 6 and 7).

import type { Logger } from "pino";
import {
  assertHeldAt,
  connectedOwners,
  type MemberName,
  type Mesh,
  majorityOf,
  messageOf,
  type RegisterReadRequest,
  type Registers,
  takeRecords,
  type Voter,
  type VoterList,
} from "../../mesh/index.ts";
import {
  ADMISSION_LOG_MS,
  ADMISSION_PAUSE_MS,
  ADMISSION_QUIET_MS,
  ADMISSION_STEP_MS,
  VOTER_LIST_ASKS_MAX,
} from "../limits.ts";
import { monotonicUnixMs } from "./clock.ts";
import type { RouteFeed } from "./route-feed.ts";
import { describeFailures, type Failure, failuresOf, spread } from "./spread.ts";

export interface AdmissionOptions {
  /** Our entry that says that we are there. */
  readonly registration: NonNullable<RegisterReadRequest["holds"]>;
}

export interface AdmissionDeps {
  readonly mesh: Mesh;
  readonly registers: Registers;
  readonly feed: RouteFeed;
  readonly logger: Logger;
}

/** Resolves once the table in force is the current one. Tries until then; rejects on abort only. */
export async function admit(
  options: AdmissionOptions,
  deps: AdmissionDeps,
  signal: AbortSignal,
): Promise<void> {
  let logAtMs = monotonicUnixMs() + ADMISSION_QUIET_MS;
  for (;;) {
    signal.throwIfAborted();
    const lack = await tryAdmission(options, deps, signal);
    if (lack === null) return;
    const nowMs = monotonicUnixMs();
    if (nowMs >= logAtMs) {
      logAtMs = nowMs + ADMISSION_LOG_MS;
      deps.logger.warn({ reason: lack }, "not admitted yet");
    }
    await untilNews(deps, signal);
  }
}

/** Resolves when another try may go better: a member came or went, voters or the table changed, or some time passed. */
async function untilNews({ mesh, feed, registers }: AdmissionDeps, signal: AbortSignal): Promise<void> {
  const news = new AbortController();
  const ends = [mesh.onMembers(() => news.abort()), registers.directory.onAdopted(() => news.abort())];
  await feed.nextTable(ADMISSION_PAUSE_MS, AbortSignal.any([signal, news.signal]));
  for (const end of ends) end();
}

/** Null: admitted. Else what is missing, for people. A try goes by one voter list: when there is a newer one it is over. */
export async function tryAdmission(
  options: AdmissionOptions,
  deps: AdmissionDeps,
  stop: AbortSignal,
): Promise<string | null> {
  const { directory } = deps.registers;
  const { list } = directory;
  if (list === undefined) return askForVoters(deps);
  const changed = new AbortController();
  const end = directory.onAdopted(() => changed.abort(new Error("the voters have changed meanwhile")));
  try {
    const lack = await tryUnder(list, { ...options, ...deps }, AbortSignal.any([stop, changed.signal]));
    changed.signal.throwIfAborted();
    return lack;
  } catch (error) {
    return messageOf(changed.signal.aborted ? changed.signal.reason : error);
  } finally {
    end();
  }
}

/** The list comes by gossip. Asked for besides, since who waits for nothing else may as well hear of it at once. */
function askForVoters({ mesh, registers }: AdmissionDeps): string {
  const hosts = mesh.members().filter(({ role, connected }) => role === "host" && connected);
  if (hosts.length === 0) return "no voters are known yet: no host of the cluster can be reached";
  const asked = hosts.slice(0, VOTER_LIST_ASKS_MAX);
  for (const { owner } of asked) registers.directory.fetch(owner);
  return `no voters are known yet: ${namesOf(asked)} did not name any; \`grapevine voters\` on a host shows them`;
}

async function tryUnder(
  list: VoterList,
  { registration, ...deps }: AdmissionOptions & AdmissionDeps,
  signal: AbortSignal,
): Promise<string | null> {
  const { mesh, registers } = deps;
  const living = registers.directory.living();
  const lack = whoCannotBeReached(list, living, connectedOwners(mesh.members()));
  if (lack !== null) return lack;
  const untold = await tellVoters(living, { mesh, registration }, stepOf(signal));
  if (untold.length > 0) return `voters do not know of this proxy yet: ${describeFailures(untold)}`;
  const unread = await readAtOne(living, deps, signal);
  if (unread !== null) return unread;
  await completeTable(deps, stepOf(signal));
  const returned = registers.directory.living().filter((voter) => !living.includes(voter));
  return returned.length === 0 ? null : `${namesOf(returned)} lives again, and was not told of this proxy`;
}

/** Of what a try waits for one after the other each has its time: a voter that hangs must not take that of the next. */
function stepOf(signal: AbortSignal): AbortSignal {
  return AbortSignal.any([signal, AbortSignal.timeout(ADMISSION_STEP_MS)]);
}

/** Null: every voter that lives is connected, and those are a majority. */
function whoCannotBeReached(
  list: VoterList,
  living: readonly Voter[],
  connected: ReadonlySet<Voter["owner"]>,
): string | null {
  const isMissing = ({ owner }: Voter): boolean => !connected.has(owner);
  const missing = living.filter(isMissing);
  if (living.length - missing.length < majorityOf(list)) {
    const lacking = namesOf(list.voters.filter(isMissing));
    return `no majority of the voters (${namesOf(list.voters)}) can be reached: no connection to ${lacking}`;
  }
  if (missing.length === 0) return null;
  return `no connection to ${namesOf(missing)}: a voter that lives may drive a deploy that does not count on this proxy`;
}

/** Those that do not hold our registration after it was brought to them. */
function tellVoters(
  voters: readonly Voter[],
  { mesh, registration: holds }: AdmissionOptions & Pick<AdmissionDeps, "mesh">,
  signal: AbortSignal,
): Promise<readonly Failure[]> {
  return failuresOf(voters, async (voter) => {
    await spread(mesh, voter, signal);
    await assertHeldAt(mesh, { voter: voter.owner, holds }, signal);
  });
}

/** In order of rank. Null: the records of one of them are here. Else why none of them would do. */
async function readAtOne(
  voters: readonly Voter[],
  { mesh, registers, feed }: AdmissionDeps,
  signal: AbortSignal,
): Promise<string | null> {
  const unread: Failure[] = [];
  for (const voter of voters) {
    try {
      const unreadable = await takeRecords({ mesh, registers }, voter.owner, stepOf(signal));
      // Apps of which nothing can be served must not look like apps that are not there.
      if (unreadable.length > 0) throw new Error(`this release cannot read ${unreadable.join(", ")}`);
      feed.flush();
      return null;
    } catch (error) {
      signal.throwIfAborted();
      unread.push({ name: voter.name, reason: messageOf(error) });
    }
  }
  return `the records cannot be read: ${describeFailures(unread)}`;
}

/**
 * Asks the hosts themselves for what the records name and nobody told us yet. What is missing after that is missing in
 * truth (a host that lost its VM), or its host cannot be asked: neither may keep us from serving all else.
 */
async function completeTable({ mesh, feed, logger }: AdmissionDeps, signal: AbortSignal): Promise<void> {
  const names = new Set([...feed.table.apps.keys()].flatMap((app) => feed.hostsMissing(app)));
  const hosts = mesh.members().filter(({ name, connected, self }) => connected && !self && names.has(name));
  await Promise.all(hosts.map(({ owner }) => mesh.sync(owner, signal)));
  feed.flush();
  for (const app of feed.table.apps.keys()) {
    if (feed.hostsMissing(app).length > 0)
      logger.warn({ app, reason: describeLack(feed, app) }, "table is incomplete");
  }
}

function describeLack({ table }: RouteFeed, app: Parameters<RouteFeed["hostsMissing"]>[0]): string {
  const route = table.apps.get(app);
  return route?.missing[0] ?? `no address of ${route?.unaddressed[0] ?? app} is known yet`;
}

function namesOf(named: readonly { readonly name: MemberName }[]): string {
  return named.map(({ name }) => name).join(", ");
}
