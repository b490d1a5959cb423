// Arm messages: what a gate and a proxy of its host say to each other over a socket of the file system, so that the proxy may send
// requests to VMs itself.

import { type ZodType, z } from "zod";
import type { AppName, MemberName, VmName, VmPlace } from "../../mesh/index.ts";
import { APP_VMS_MAX, isName, memberName, vmPlaceShape } from "../../mesh/index.ts";
import type { InFlight } from "./arms.ts";

export interface ArmHello {
  readonly format: 1;
  readonly kind: "hello";
  readonly cluster: string;
  readonly proxy: MemberName;
  /** Name of its mark, a socket beside the gate's: as long as somebody listens there, this process is there. */
  readonly mark: string;
  /** Of the machine's network as it sees it: "127.0.0.1" must mean the same to both. Empty: the system has but one. */
  readonly network: string;
  /** What it sent by rights of before and what runs still. It uses none of them any more. */
  readonly inFlight: readonly { readonly app: AppName; readonly vm: VmName; readonly requests: number }[];
}

/** What an arm tells its gate. */
export type FromArm =
  | ArmHello
  /** It goes by the grant of that epoch; `inFlight`: requests to VMs that this does not name. Said again when one has none left. */
  | {
      readonly format: 1;
      readonly kind: "standing";
      readonly app: AppName;
      readonly epoch: number;
      readonly inFlight: InFlight;
    };

/** What a gate tells an arm. */
export type ToArm =
  /** It may send requests that go by this epoch to these VMs of the app, and to no other. */
  | {
      readonly format: 1;
      readonly kind: "grant";
      readonly app: AppName;
      readonly epoch: number;
      readonly places: readonly VmPlace[];
      readonly record: Uint8Array;
    }
  /** End what you sent to these. */
  | { readonly format: 1; readonly kind: "cut"; readonly vms: readonly VmName[] };

/** `life`: eight hexadecimal digits, another one for each process. */
export function markOf(proxy: MemberName, life: string): string {
  return `arm-${proxy}-${life}.sock`;
}

/** Whose mark it is; null: it is none. */
export function ownerOfMark(name: string): MemberName | null {
  const [, proxy = ""] = /^arm-(.+)-[0-9a-f]{8}\.sock$/.exec(name) ?? [];
  return isName(proxy) ? memberName(proxy) : null;
}

const format = z.literal(1);
const epochShape = z.int().nonnegative();
const appShape = nameOf<AppName>();
const vmShape = nameOf<VmName>();
const requests = epochShape;
/** An arm that has more VMs in flight than this has lost its link too often. */
const LEFT_OVER_MAX = 10_000;

export const fromArmShape: ZodType<FromArm> = z.discriminatedUnion("kind", [
  z.strictObject({
    format,
    kind: z.literal("hello"),
    cluster: z.string().max(255),
    proxy: nameOf<MemberName>(),
    mark: z.string().refine((mark) => ownerOfMark(mark) !== null),
    network: z.string().max(255),
    inFlight: z.array(z.strictObject({ app: appShape, vm: vmShape, requests })).max(LEFT_OVER_MAX),
  }),
  z.strictObject({
    format,
    kind: z.literal("standing"),
    app: appShape,
    epoch: epochShape,
    inFlight: z.array(z.strictObject({ vm: vmShape, requests })).max(APP_VMS_MAX),
  }),
]);

export const toArmShape: ZodType<ToArm> = z.discriminatedUnion("kind", [
  z.strictObject({
    format,
    kind: z.literal("grant"),
    app: appShape,
    epoch: epochShape,
    places: z.array(vmPlaceShape).max(APP_VMS_MAX),
    record: z.instanceof(Uint8Array),
  }),
  z.strictObject({ format, kind: z.literal("cut"), vms: z.array(vmShape) }),
]);

function nameOf<Name extends string>(): ZodType<Name> {
  return z.custom<Name>((value) => typeof value === "string" && isName(value));
}
