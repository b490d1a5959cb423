// Gate headers: what a proxy and a gate say to each other beside the request. One header each way, of that name; what clients and
// apps send under it is taken away, so that nobody else can say it.

import { type ZodType, z } from "zod";
import {
  type AppName,
  appName,
  fail,
  gateProofsShape,
  isName,
  ok,
  type Result,
  type VmName,
  vmName,
} from "../../mesh/index.ts";
import { GATE_LINKS_MAX } from "../limits.ts";
import type { Refusal } from "./gate.ts";

export const GATE_HEADER: string = "grapevine-gate";
/** First word of either side: another one is not spoken to. */
const FORMAT = "1";

/**
 * - `pass`: an ordinary request. `afresh`: the same, on a connection that its VM is not about to close: the last one broke.
 * - `claim`: the same, and say so by a 102 once its VM takes it: the rest of the body waits for that.
 * - `probe`: dial the VM, and say whether it can be reached.
 * - `take`: the body is a record that the gate lacks. `lists`: give the links of the voter chain. `entries`: give what the hosts of
 *   this app's VMs say of them, signed.
 */
const ERRANDS = ["pass", "afresh", "claim", "probe", "take", "lists", "entries"] as const;
export type Errand = (typeof ERRANDS)[number];

export interface GateRequest {
  readonly errand: Errand;
  readonly app: AppName;
  readonly vm: VmName;
  /** Of the record by which the sender goes. */
  readonly epoch: number;
}

/**
 * What a gate itself answers, never an app.
 * - of `core/gate.ts`, nothing was sent to a VM: `shut`, `behind`, `ahead`, `closed`; with the record held, if it is of any use.
 * - `unreachable`: admitted, but its VM could not be dialled, or had too many requests: nothing was sent to it.
 * - `lost`: it was sent to the VM, or may have been, and no answer came. `late`: none came in time. `cut`: the VM's drain deadline.
 * - `done`: the errand was done. `failed`: it was not, and why.
 */
const ANSWERS = [
  "shut",
  "behind",
  "ahead",
  "closed",
  "unreachable",
  "lost",
  "late",
  "cut",
  "done",
  "failed",
] as const;
export type GateAnswer = (typeof ANSWERS)[number] | Refusal;

export function gateRequestHeader({ errand, app, vm, epoch }: GateRequest): string {
  return `${FORMAT} ${errand} ${app} ${vm} ${epoch}`;
}

export function readGateRequest(header: string | undefined): Result<GateRequest> {
  if (header === undefined)
    return fail(`no ${GATE_HEADER} header: this is the gate of a host, proxies speak to it`);
  const [format, errand, app = "", vm = "", epoch = "", ...rest] = header.split(" ");
  if (format !== FORMAT) return fail(`${GATE_HEADER}: format ${format}, this gate speaks ${FORMAT}`);
  const known = ERRANDS.find((one) => one === errand);
  const isWhole = isName(app) && isName(vm) && /^\d{1,15}$/.test(epoch) && rest.length === 0;
  if (known === undefined || !isWhole)
    return fail(`${GATE_HEADER}: not an errand, an app, a VM and an epoch`);
  return ok({ errand: known, app: appName(app), vm: vmName(vm), epoch: Number(epoch) });
}

export function gateAnswerHeader(answer: GateAnswer): string {
  return `${FORMAT} ${answer}`;
}

/** Null: an app's answer, or that of a gate that speaks otherwise. */
export function readGateAnswer(header: string | readonly string[] | undefined): GateAnswer | null {
  if (typeof header !== "string") return null;
  const [format, answer] = header.split(" ");
  return format === FORMAT ? (ANSWERS.find((one) => one === answer) ?? null) : null;
}

/** What is handed in by `take`. `links`: of the voter chain, empty unless the gate did not know the list before. */
export interface GateHandIn {
  readonly format: 1;
  readonly key: string;
  readonly record: Uint8Array;
  readonly links: readonly Uint8Array[];
}

const bytesShape = z.instanceof(Uint8Array);

export const gateHandInShape: ZodType<GateHandIn> = z.strictObject({
  format: z.literal(1),
  key: z.string().max(256),
  record: bytesShape,
  links: z.array(bytesShape).max(GATE_LINKS_MAX),
});

/** What `lists` is answered by. */
export interface GateLists {
  readonly format: 1;
  readonly links: readonly Uint8Array[];
}

export const gateListsShape: ZodType<GateLists> = z.strictObject({
  format: z.literal(1),
  links: z.array(bytesShape).max(GATE_LINKS_MAX),
});

/** What `entries` is answered by: `readEntryProof` reads each. */
export interface GateEntries {
  readonly format: 1;
  readonly proofs: readonly Uint8Array[];
}

export const gateEntriesShape: ZodType<GateEntries> = z.strictObject({
  format: z.literal(1),
  proofs: gateProofsShape,
});
