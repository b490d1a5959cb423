// Move: one thing that happens, by the numbers of who takes part.

import type { LocalStep } from "./acts.ts";

export type Move =
  /** `give-up-begin`: and begins the next operation. */
  | {
      readonly kind: "begin" | "give-up" | "give-up-begin" | "restart" | "settle";
      readonly desk: number;
    }
  /** It hears some of the answers that wait for it, in this order; its timer may ring in between. */
  | { readonly kind: "act"; readonly desk: number; readonly steps: readonly LocalStep[] }
  | { readonly kind: "show"; readonly desk: number; readonly seat: number }
  | { readonly kind: "learn"; readonly desk: number; readonly list: number }
  | { readonly kind: "ask"; readonly seat: number; readonly request: number }
  | { readonly kind: "adopt"; readonly seat: number; readonly list: number }
  | { readonly kind: "sync" | "crash" | "lose-disk"; readonly seat: number };
