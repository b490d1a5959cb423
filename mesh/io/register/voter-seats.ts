// Voter seats: how whoever makes a voter list learns the id of a host's acceptor.

import { type ZodType, z } from "zod";
import { REGISTER_SWAP_MS } from "../../limits.ts";
import type { MemberView, Mesh } from "../../mesh.ts";
import { decodeRecord, encodeRecord } from "../../records/record-codec.ts";
import { isVoterId, type VoterId } from "../../register/ballot.ts";
import type { Voter } from "../../register/voter-list.ts";
import { fail, messageOf, ok, type Result } from "../../result.ts";

const VOTER_SEAT_SERVICE = "voter-seat";

interface SeatRequest {
  readonly format: 1;
}

const requestShape: ZodType<SeatRequest> = z.strictObject({ format: z.literal(1) });
const answerShape = z.strictObject({ format: z.literal(1), voter: z.string().refine(isVoterId) });

export function serveSeats({ mesh }: { readonly mesh: Mesh }, offer: () => Promise<VoterId>): void {
  mesh.handle(VOTER_SEAT_SERVICE, async function* (bytes) {
    const request = decodeRecord(requestShape, bytes);
    if (!request.ok) throw new Error(`${VOTER_SEAT_SERVICE}: ${request.error}`);
    yield encodeRecord({ format: 1, voter: await offer() });
  });
}

/** The host as a voter, under an id that no list ever named. Fails with why it can be none, for people. */
export async function askSeat(mesh: Mesh, host: MemberView, signal: AbortSignal): Promise<Result<Voter>> {
  const { owner, name, role, connected } = host;
  if (role !== "host") return fail(`${name} is a ${role}: voters are hosts`);
  if (!connected) return fail(`${name} is not connected`);
  const request = encodeRecord({ format: 1 } satisfies SeatRequest);
  const patience = AbortSignal.any([signal, AbortSignal.timeout(REGISTER_SWAP_MS)]);
  try {
    for await (const bytes of mesh.call(owner, VOTER_SEAT_SERVICE, request, patience)) {
      const answer = decodeRecord(answerShape, bytes);
      return answer.ok ? ok({ id: answer.value.voter as VoterId, owner, name }) : fail(answer.error);
    }
    return fail(`${name} offers no seat`);
  } catch (error) {
    return fail(`${name}: ${messageOf(error)}`);
  }
}
