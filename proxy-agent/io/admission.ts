// Admission: a new proxy serves only once it holds the current state. Order matters: first a majority of the voters holds
// our registration, then their records are read; a voter that does not hold it does not answer. So every later commit has us
// in its ack set, and every earlier one is read.

import type { Logger } from "pino";
import { z } from "zod";
import {
  type AppName,
  decodeRecord,
  encodeRecord,
  type MemberName,
  type MemberView,
  type Mesh,
  messageOf,
  REGISTER_READ_SERVICE,
  type RegisterReadRequest,
} from "../../mesh/index.ts";
import {
  ADMISSION_LOG_MS,
  ADMISSION_PAUSE_MS,
  ADMISSION_QUIET_MS,
  ADMISSION_TRY_MS,
  REGISTER_READ_BYTES_MAX,
} from "../limits.ts";
import { monotonicUnixMs } from "./clock.ts";
import type { RouteFeed } from "./route-feed.ts";

export interface AdmissionOptions {
  readonly voters: readonly MemberName[];
  /** Our entry that says that we are there. */
  readonly registration: RegisterReadRequest["holds"];
}

export interface AdmissionDeps {
  readonly mesh: Mesh;
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
    const lack = await tryOnce(options, deps, signal);
    if (lack === null) return;
    const nowMs = monotonicUnixMs();
    if (nowMs >= logAtMs) {
      logAtMs = nowMs + ADMISSION_LOG_MS;
      deps.logger.warn({ reason: lack }, "not admitted yet");
    }
    await untilNews(deps, signal);
  }
}

/** Resolves when another try may go better: a member came or went, the table changed, or some time passed. */
async function untilNews({ mesh, feed }: AdmissionDeps, signal: AbortSignal): Promise<void> {
  const members = new AbortController();
  const unsubscribe = mesh.onMembers(() => members.abort());
  await feed.nextTable(ADMISSION_PAUSE_MS, AbortSignal.any([signal, members.signal]));
  unsubscribe();
}

/** Null: admitted. Else what is missing, for people. */
async function tryOnce(
  options: AdmissionOptions,
  deps: AdmissionDeps,
  stop: AbortSignal,
): Promise<string | null> {
  const signal = AbortSignal.any([stop, AbortSignal.timeout(ADMISSION_TRY_MS)]);
  const voters = connectedMembers(deps.mesh, options.voters);
  if (2 * voters.length <= options.voters.length) {
    return `no majority of the voters (${options.voters.join(", ")}) can be reached`;
  }
  try {
    await spread(deps.mesh, options.voters, signal);
    for (const voter of voters) {
      const lack = await readRegister(deps, { voter, holds: options.registration }, signal);
      if (lack !== null) return lack;
    }
    await completeTable(deps, signal);
    return null;
  } catch (error) {
    return messageOf(error);
  }
}

/**
 * Resolves once the voters that can be reached hold what we wrote before. Each sync opens with our digest, and by it the
 * voter asks us for what it lacks. Its question may cross with the answer to the first sync and our answer with the second;
 * what it asked is answered before the third. Rejects when a voter is lost meanwhile, or on abort.
 */
export async function spread(mesh: Mesh, names: readonly MemberName[], signal: AbortSignal): Promise<void> {
  const voters = connectedMembers(mesh, names);
  if (voters.length === 0) throw new Error(`none of the voters (${names.join(", ")}) can be reached`);
  for (let round = 0; round < 3; round += 1) {
    await Promise.all(voters.map(({ owner }) => mesh.sync(owner, signal)));
  }
}

const registerAnswerShape = z.strictObject({
  format: z.literal(1),
  apps: z.array(z.instanceof(Uint8Array)),
});

async function readRegister(
  { mesh, feed }: AdmissionDeps,
  { voter, holds }: { readonly voter: MemberView; readonly holds: RegisterReadRequest["holds"] },
  signal: AbortSignal,
): Promise<string | null> {
  const request: RegisterReadRequest = { format: 1, holds };
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of mesh.call(voter.owner, REGISTER_READ_SERVICE, encodeRecord(request), signal)) {
    bytes += chunk.length;
    if (bytes > REGISTER_READ_BYTES_MAX)
      return `the register of ${voter.name} is over ${REGISTER_READ_BYTES_MAX} bytes`;
    chunks.push(chunk);
  }
  const answer = decodeRecord(registerAnswerShape, Buffer.concat(chunks));
  if (!answer.ok) return `the register of ${voter.name} cannot be read: ${answer.error}`;
  for (const app of answer.value.apps) {
    const taken = feed.takeCommitted(app);
    if (!taken.ok) return `a record of ${voter.name} cannot be read: ${taken.error}`;
  }
  feed.flush();
  return null;
}

/**
 * Asks the hosts themselves for what the records name and nobody told us yet. What is missing after that is missing in
 * truth (a host that lost its VM), or its host cannot be asked: neither may keep us from serving all else.
 */
async function completeTable({ mesh, feed, logger }: AdmissionDeps, signal: AbortSignal): Promise<void> {
  const names = new Set([...feed.table.apps.keys()].flatMap((app) => feed.hostsMissing(app)));
  const hosts = connectedMembers(mesh, [...names]);
  await Promise.all(hosts.map(({ owner }) => mesh.sync(owner, signal)));
  feed.flush();
  for (const app of feed.table.apps.keys()) {
    if (feed.hostsMissing(app).length > 0)
      logger.warn({ app, reason: describeLack(feed, app) }, "table is incomplete");
  }
}

function describeLack({ table }: RouteFeed, app: AppName): string {
  const route = table.apps.get(app);
  return route?.missing[0] ?? `no address of ${route?.unaddressed[0] ?? app} is known yet`;
}

function connectedMembers(mesh: Mesh, names: readonly MemberName[]): readonly MemberView[] {
  return mesh.members().filter(({ name, connected, self }) => connected && !self && names.includes(name));
}
