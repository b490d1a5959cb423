// Step report: what a record keeps of who answered a step of a rollout, and when. `explain` tells it; nothing decides by it.

import { type ZodType, z } from "zod";
import type { MemberName, VmName } from "../core/ids.ts";
import { memberNameShape, vmNameShape } from "./shapes.ts";

const ASKED_KINDS = ["proxy", "gate", "vm", "approval", "counts", "traffic", "clock"] as const;

/**
 * One that a step asked.
 * - `proxy`: `who` answers the step's epoch.
 * - `gate`: the gate of host `who` confirms, on disk, that it closed `vm`, and nothing runs there any more.
 * - `vm`: the host says of its VM `who` what the step is for. `host` is not there if the record did not name it.
 * - `approval`: a person's word on app `who`.
 * - `counts`: proxy `who` tells what it counts while a canary bakes.
 * - `traffic`: requests to `who`, a new VM, and what their counts say.
 * - `clock`: `forMs` pass, in which `who` stays healthy, or bakes.
 */
export interface Asked {
  readonly kind: (typeof ASKED_KINDS)[number];
  readonly who: MemberName | VmName;
  readonly vm?: VmName;
  readonly host?: MemberName;
  readonly forMs?: number;
  /** From the step's begin to the answer that stood at its end, milliseconds of the driver's clock; null: it had not answered. */
  readonly ms: number | null;
}

/** A proxy that the step did not ask: a person or the app excluded it, or it could not be heard and gates spoke for it. */
export interface Spared {
  readonly proxy: MemberName;
  readonly why: "person" | "silence" | "unheard";
}

/** What a step's report may say beside its outcome. All of it is dropped, of the oldest steps first, when the record has no room. */
export interface AnswersReport {
  /** That those who were asked had to confirm at its end. */
  readonly epoch?: number;
  /** Those who had not answered, and the slowest. */
  readonly asked?: readonly Asked[];
  /** More were asked, and answered sooner than those that are named. Absent: none. */
  readonly askedMore?: number;
  /** So many of the proxies sufficed; absent: all. */
  readonly quorum?: number;
  readonly spared?: readonly Spared[];
}

/** Named in one report: more than gates and proxies of a small cluster, and of a large one those that took their time. */
export const ASKED_MAX: number = 16;
export const SPARED_MAX: number = 16;

const askedShape: ZodType<Asked> = z.strictObject({
  kind: z.enum(ASKED_KINDS),
  who: z.union([memberNameShape, vmNameShape]),
  vm: z.exactOptional(vmNameShape),
  host: z.exactOptional(memberNameShape),
  forMs: z.exactOptional(z.number()),
  ms: z.number().nullable(),
});

export const askedListShape: ZodType<readonly Asked[]> = z.array(askedShape).max(ASKED_MAX);

export const sparedListShape: ZodType<readonly Spared[]> = z
  .array(z.strictObject({ proxy: memberNameShape, why: z.enum(["person", "silence", "unheard"]) }))
  .max(SPARED_MAX);
