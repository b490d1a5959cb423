// VM life effects: what a VM's life asks vm-run to do.

import type { VmEntry } from "../../mesh/index.ts";
import type { VmHandle } from "./vm-driver.ts";
import type { VmRecord } from "./vm-record.ts";

export type LifeEffect =
  /** Nothing that was begun before matters any more: end it. */
  | { readonly type: "cancel" }
  | { readonly type: "save"; readonly record: VmRecord }
  | { readonly type: "publish"; readonly entry: VmEntry | null }
  | {
      readonly type: "log";
      readonly what: "state" | "health";
      readonly from: string;
      readonly to: string;
      readonly reason: string | null;
    }
  | { readonly type: "prepare"; readonly token: number }
  /** `preferred`: the port it had, so that its address stays. */
  | { readonly type: "place"; readonly token: number; readonly preferred: number | null }
  | { readonly type: "await-turn"; readonly token: number }
  | { readonly type: "start"; readonly token: number; readonly address: VmEntry["address"] }
  /** Waits for its end and runs its checks, from the health that its entry has. */
  | { readonly type: "watch"; readonly token: number; readonly handle: VmHandle }
  | { readonly type: "schedule-restart"; readonly token: number; readonly delayMs: number }
  | { readonly type: "stop"; readonly token: number; readonly handle: VmHandle }
  | { readonly type: "remove"; readonly token: number };
