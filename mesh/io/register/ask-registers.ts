// Ask registers: which registers the voters of one list have. Who answers goes by that list, on its disk, and takes nothing
// under a former one any more.

import { type ZodType, z } from "zod";
import type { MemberName } from "../../core/ids.ts";
import { REGISTER_READ_MS, REGISTERS_MAX } from "../../limits.ts";
import { MeshCallError } from "../../mesh.ts";
import { decodeRecord, encodeRecord } from "../../records/record-codec.ts";
import { isVoterId, type VoterId } from "../../register/ballot.ts";
import type { RegisterName } from "../../register/certificate.ts";
import { majorityOf, type Voter, type VoterList } from "../../register/voter-list.ts";
import type { RegisterContext } from "./register-context.ts";
import type { VoterSeat } from "./voter-seat.ts";

/** Answers a `RegistersRequest` with a row of `RegistersChunk`s; fails if the voter goes by another list. */
const VOTER_REGISTERS_SERVICE = "voter-registers";
/** Names in one chunk: some 64 KiB at most. */
const NAMES_PER_CHUNK = 500;

interface RegistersRequest {
  readonly format: 1;
  readonly voter: VoterId;
  readonly list: number;
}

const requestShape: ZodType<RegistersRequest> = z.strictObject({
  format: z.literal(1),
  voter: z.custom<VoterId>((id) => typeof id === "string" && isVoterId(id)),
  list: z.number().int().positive(),
});

const chunkShape = z.strictObject({
  format: z.literal(1),
  names: z.array(z.string().max(300)).max(NAMES_PER_CHUNK),
});

/** No majority of the voters answered. `missing`: those that did not. */
export class NoMajorityError extends Error {
  override readonly name = "NoMajorityError";
  readonly missing: readonly MemberName[];
  constructor(missing: readonly MemberName[]) {
    super(
      missing.length === 0
        ? "no majority of the voters answered in time"
        : `no majority of the voters answers: ${missing.join(", ")} missing`,
    );
    this.missing = missing;
  }
}

export function serveRegisters(
  { mesh }: Pick<RegisterContext, "mesh">,
  seatOf: (voter: VoterId) => VoterSeat | undefined,
): void {
  mesh.handle(VOTER_REGISTERS_SERVICE, async function* (bytes) {
    const request = decodeRecord(requestShape, bytes);
    if (!request.ok) throw new Error(`${VOTER_REGISTERS_SERVICE}: ${request.error}`);
    const { voter, list } = request.value;
    const shown = await seatOf(voter)?.registers(list);
    if (shown === undefined) throw new Error(`${mesh.self.name} is not voter ${voter}`);
    if (shown.kind === "nack")
      throw new Error(`${mesh.self.name} does not go by list ${list}: ${shown.code}`);
    for (let first = 0; first < shown.names.length; first += NAMES_PER_CHUNK) {
      yield encodeRecord({ format: 1, names: shown.names.slice(first, first + NAMES_PER_CHUNK) });
    }
  });
}

/** All that `voter` has, under that list. Rejects with `MeshCallError`, or as it answers what cannot be read. */
export async function askRegisters(
  { mesh }: Pick<RegisterContext, "mesh">,
  { voter, list }: { readonly voter: Voter; readonly list: number },
  signal: AbortSignal,
): Promise<readonly RegisterName[]> {
  const request = encodeRecord({ format: 1, voter: voter.id, list } satisfies RegistersRequest);
  const names: RegisterName[] = [];
  for await (const bytes of mesh.call(voter.owner, VOTER_REGISTERS_SERVICE, request, signal)) {
    const chunk = decodeRecord(chunkShape, bytes);
    if (!chunk.ok) throw new MeshCallError("failed", `${voter.name}: ${chunk.error}`);
    names.push(...chunk.value.names);
    if (names.length > REGISTERS_MAX)
      throw new MeshCallError("failed", `${voter.name} has too many registers`);
  }
  return names;
}

/** What any of a majority of `list` has, which is all that was ever chosen. Rejects with `NoMajorityError`. */
export async function registersAtMajority(
  context: Pick<RegisterContext, "mesh">,
  list: VoterList,
  signal: AbortSignal,
): Promise<ReadonlySet<RegisterName>> {
  const enough = new AbortController();
  const patience = AbortSignal.any([signal, enough.signal, AbortSignal.timeout(REGISTER_READ_MS)]);
  const names = new Set<RegisterName>();
  const missing = new Set(list.voters);
  const isEnough = (): boolean => list.voters.length - missing.size >= majorityOf(list);
  const asked = list.voters.map(async (voter) => {
    const shown = await askRegisters(context, { voter, list: list.number }, patience).catch(() => undefined);
    if (shown === undefined || isEnough()) return;
    missing.delete(voter);
    for (const name of shown) names.add(name);
    if (isEnough()) enough.abort();
  });
  await Promise.all(asked);
  if (!isEnough()) throw new NoMajorityError([...missing].map(({ name }) => name));
  return names;
}
