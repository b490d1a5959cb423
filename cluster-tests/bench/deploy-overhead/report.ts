// Report: what all deploys of a run cost together, as figures and as lines for people. Pure.

import { percentiles } from "../bench-command.ts";
import type { Control } from "./measured-cluster.ts";
import type { Tally } from "./tally.ts";

interface Figures {
  readonly p50Ms: number;
  readonly p90Ms: number;
  readonly maxMs: number;
}

interface PartFigures {
  readonly name: string;
  /** Without what the VM itself took. */
  readonly overhead: Figures;
  readonly vmItself: Figures;
}

export interface Measured {
  readonly overhead: Figures;
  readonly total: Figures;
  readonly parts: readonly PartFigures[];
  readonly commit: Figures;
  readonly ackRoundTrip: Figures;
}

/** All deploys took the same steps. */
export function reportOf(tallies: readonly Tally[], controls: readonly Control[]): Measured {
  const names = tallies[0]?.parts.map(({ name }) => name) ?? [];
  return {
    overhead: figuresOf(tallies.map(({ overheadMs }) => overheadMs)),
    total: figuresOf(tallies.map(({ totalMs }) => totalMs)),
    parts: names.map((name, at) => {
      const parts = tallies.flatMap((one) => one.parts[at] ?? []);
      return {
        name,
        overhead: figuresOf(parts.map(({ allMs, ownMs }) => allMs - ownMs)),
        vmItself: figuresOf(parts.map(({ ownMs }) => ownMs)),
      };
    }),
    commit: figuresOf(controls.map(({ commitMs }) => commitMs)),
    ackRoundTrip: figuresOf(controls.map(({ ackMs }) => ackMs)),
  };
}

export function textOf(measured: Measured, targetMs: number): readonly string[] {
  const { overhead, total, parts, commit, ackRoundTrip } = measured;
  const row = (name: string, { p50Ms, p90Ms, maxMs }: Figures, more = ""): string =>
    `${name.padEnd(22)}${[p50Ms, p90Ms, maxMs].map((ms) => ms.toFixed(1).padStart(9)).join("")}${more}`;
  const own = ({ p50Ms }: Figures): string => (p50Ms > 0 ? `   and the VM itself ${p50Ms.toFixed(0)}` : "");
  return [
    "",
    `milliseconds${"p50".padStart(19)}${"p90".padStart(9)}${"max".padStart(9)}`,
    ...parts.map((part) => row(`  ${part.name}`, part.overhead, own(part.vmItself))),
    row("overhead, in all", overhead, `   target: p50 below ${targetMs}`),
    row("with the VMs' own", total),
    "beside it",
    row("  one commit", commit),
    row("  one ack round trip", ackRoundTrip),
  ];
}

function figuresOf(values: readonly number[]): Figures {
  const { p50, p90, max } = percentiles(values);
  return { p50Ms: inTenths(p50), p90Ms: inTenths(p90), maxMs: inTenths(max) };
}

function inTenths(ms: number): number {
  return Math.round(10 * ms) / 10;
}
