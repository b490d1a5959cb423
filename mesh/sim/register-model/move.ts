// Move: one thing that happens, by the numbers of who takes part.

export type Move =
  | { readonly kind: "begin" | "timer" | "give-up" | "restart" | "settle"; readonly desk: number }
  | { readonly kind: "hear"; readonly desk: number; readonly seat: number; readonly reply: number }
  | { readonly kind: "show"; readonly desk: number; readonly seat: number }
  | { readonly kind: "learn"; readonly desk: number; readonly list: number }
  | { readonly kind: "ask"; readonly seat: number; readonly request: number }
  | { readonly kind: "adopt"; readonly seat: number; readonly list: number }
  | { readonly kind: "sync" | "crash" | "lose-disk"; readonly seat: number };
