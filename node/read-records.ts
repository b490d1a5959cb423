// Read records: all desired records as a majority of the voters has them. What gossip brings is not all: who is started anew is not
// told of records that it published itself.

import type { Logger } from "pino";
import { connectedVoters, type Mesh, messageOf, type Registers, takeRecords } from "../mesh/index.ts";
import { unlessAborted } from "./unless-aborted.ts";

/** For one voter, which reads all registers at a majority; then the next is asked. */
const RECORDS_READ_MS = 10_000;
/** Between two tries, unless a member comes meanwhile. */
const READ_PAUSE_MS = 250;

export interface ReadRecordsDeps {
  readonly mesh: Mesh;
  readonly registers: Pick<Registers, "apps" | "directory">;
  readonly logger: Pick<Logger, "debug">;
}

/** Resolves once they are in force here, or newer ones are. Tries until then; rejects on abort only. */
export async function readRecords(deps: ReadRecordsDeps, signal: AbortSignal): Promise<void> {
  while (!(await tryRead(deps, signal))) await pause(deps, signal);
  signal.throwIfAborted();
}

/** Of the voters, ourselves perhaps, one has read all records at a majority and told us. */
async function tryRead({ mesh, registers, logger }: ReadRecordsDeps, stop: AbortSignal): Promise<boolean> {
  for (const { owner, name } of connectedVoters(mesh, registers.directory)) {
    const signal = AbortSignal.any([stop, AbortSignal.timeout(RECORDS_READ_MS)]);
    try {
      await unlessAborted(takeRecords({ mesh, registers }, owner, signal), signal);
      return true;
    } catch (error) {
      stop.throwIfAborted();
      logger.debug({ voter: name, reason: messageOf(error) }, "records could not be read");
    }
  }
  return false;
}

/** Until a member comes or goes, or a little while has passed. Rejects on abort. */
async function pause({ mesh }: ReadRecordsDeps, signal: AbortSignal): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  const timer = setTimeout(resolve, READ_PAUSE_MS);
  const unsubscribe = mesh.onMembers(resolve);
  try {
    await unlessAborted(promise, signal);
  } finally {
    clearTimeout(timer);
    unsubscribe();
  }
}
