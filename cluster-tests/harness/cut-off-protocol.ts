// Cut-off protocol: what a cut-off process is told, and what it says, a line each.

export const CUT_OFF = "cut off";

export type CutOffLine =
  | { readonly event: "serves"; readonly name: string; readonly http: string; readonly admin: string }
  | { readonly event: "cut-off" };
