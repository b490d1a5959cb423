// One case of the liveness simulator: a seed, a way, and a fault or none. Runs in a thread of its own (case-worker.ts).

import {
  type Detection,
  type FalseDeaths,
  type Fault,
  type MeasureOptions,
  measureDetection,
  measureFalseDeaths,
} from "./measure.ts";

export interface Case {
  readonly options: MeasureOptions;
  /** "none": nobody fails, for so many seconds. */
  readonly fault: Fault | "none";
  readonly seconds: number;
}

export type CaseResult = Case & { readonly detection: Detection | null; readonly blamed: FalseDeaths | null };

export function runCase(one: Case): CaseResult {
  const { options, fault, seconds } = one;
  if (fault === "none") return { ...one, detection: null, blamed: measureFalseDeaths(options, seconds) };
  return { ...one, detection: measureDetection(options, fault), blamed: null };
}
