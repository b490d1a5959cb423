// Words: names and notations that the text and the page share.

import type { SystemName } from "../system.ts";

/** In this order, behind ours. */
export const COMPARED = ["raw", "streams", "serf"] as const;

export const NAMES: Readonly<Record<SystemName, string>> = {
  ours: "Grapevine",
  raw: "raw TCP",
  streams: "libp2p streams",
  serf: "Serf",
};

/** What is measured of one that we are compared with. */
export function toLastMember(name: (typeof COMPARED)[number]): string {
  return `${NAMES[name]}, last member`;
}

/** "12.3 ms", "1.20 s"; null: a dash. */
export function formatMs(ms: number | null): string {
  if (ms === null) return "–";
  if (ms >= 1_000) return `${(ms / 1_000).toFixed(2)} s`;
  return `${ms >= 100 ? ms.toFixed(0) : ms.toFixed(ms >= 10 ? 1 : 2)} ms`;
}

export function formatBytes(bytes: number): string {
  if (bytes >= 1e6) return `${(bytes / 1e6).toFixed(bytes >= 1e7 ? 0 : 1)} MB`;
  return bytes >= 1e3 ? `${(bytes / 1e3).toFixed(1)} kB` : `${Math.round(bytes)} B`;
}

/** Undefined: there is none. */
export function describeRatio(
  name: string,
  { perRound, median }: { readonly perRound: readonly number[]; readonly median: number | null },
): string | undefined {
  if (median === null) return undefined;
  return `${name}: ${perRound.join(", ")}; median ${median}`;
}
