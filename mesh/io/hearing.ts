// Hearing: who still hears a member, asked of all that are connected: one observer alone must not have it forgotten.

import { type ZodType, z } from "zod";
import { type MemberName, type OwnerId, ownerId } from "../core/ids.ts";
import type { MemberView, Mesh } from "../mesh.ts";
import { decodeRecord, encodeRecord } from "../records/record-codec.ts";
import { memberNameShape } from "../records/shapes.ts";
import { askForRecords } from "./ask-member.ts";

const HEARING_SERVICE = "hearing";
/** Its answer is one small record. */
const HEARING_BYTES_MAX = 1_024;

interface HearingRequest {
  readonly format: 1;
  readonly owner: OwnerId;
  readonly name: MemberName;
}

interface HearingAnswer {
  readonly format: 1;
  readonly hears: boolean;
}

const requestShape: ZodType<HearingRequest> = z.strictObject({
  format: z.literal(1),
  owner: z.string().min(1).max(128).transform(ownerId),
  name: memberNameShape,
});

const answerShape: ZodType<HearingAnswer> = z.strictObject({ format: z.literal(1), hears: z.boolean() });

export interface Hearing {
  /** Connected to it, or holding it alive; ourselves perhaps among them. */
  readonly hearing: readonly MemberName[];
  /** Did not say whether they do. */
  readonly silent: readonly MemberName[];
}

export function serveHearing(mesh: Mesh): void {
  mesh.handle(HEARING_SERVICE, async function* (bytes) {
    const request = decodeRecord(requestShape, bytes);
    if (!request.ok) throw new Error(`hearing: ${request.error}`);
    yield encodeRecord({ format: 1, hears: hears(mesh, request.value) } satisfies HearingAnswer);
  });
}

/** Never rejects but on abort. Who is not connected to us is not asked, and not named. */
export async function whoHears(
  mesh: Mesh,
  target: Pick<MemberView, "owner" | "name">,
  signal: AbortSignal,
): Promise<Hearing> {
  const others = mesh.members().filter(({ connected, owner }) => connected && owner !== target.owner);
  const asked = await Promise.all(
    others.map(async (other) => ({
      name: other.name,
      hears: other.self ? hears(mesh, target) : await ask(mesh, other, target, signal),
    })),
  );
  signal.throwIfAborted();
  const named = (answer: boolean | undefined) =>
    asked.filter((one) => one.hears === answer).map(({ name }) => name);
  return { hearing: named(true), silent: named(undefined) };
}

function hears(mesh: Mesh, { owner, name }: Pick<MemberView, "owner" | "name">): boolean {
  const view = mesh.named(name).find((member) => member.owner === owner);
  return view !== undefined && (view.connected || view.liveness.state === "alive");
}

/** Undefined: it did not say. */
async function ask(
  mesh: Mesh,
  other: MemberView,
  { owner, name }: Pick<MemberView, "owner" | "name">,
  signal: AbortSignal,
): Promise<boolean | undefined> {
  const request = encodeRecord({ format: 1, owner, name } satisfies HearingRequest);
  const question = { service: HEARING_SERVICE, request, bytesMax: HEARING_BYTES_MAX, shape: answerShape };
  const answer = await askForRecords(mesh, other, question, signal);
  return answer.ok ? answer.value[0]?.hears : undefined;
}
