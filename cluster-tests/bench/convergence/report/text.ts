// Text: the report as people read it in a terminal.

import type { Cost } from "../judge.ts";
import type { Spread } from "../stats.ts";
import type { Report } from "./report.ts";
import { COMPARED, describeRatio, formatBytes, formatMs, NAMES, toLastMember } from "./words.ts";

export function textReport(report: Report): string {
  const { hosts, proxies, rate, seconds, rounds, seed, node, driver, payloadBytes } = report;
  return [
    `${hosts} hosts and ${proxies} proxies (${driver}), ${rate} writes/s, ${seconds} s, ${rounds} rounds, seed ${seed}, node ${node}, no faults`,
    "",
    row("from a write's commit", ["p50", "p90", "p99", "max", "count"]),
    spreadRow("last proxy's table in force", report.last),
    spreadRow("each proxy's", report.each),
    spreadRow("last store", report.stores),
    spreadRow("a proxy's store to its table", report.table),
    spreadRow("due to committed", report.late),
    ...COMPARED.map((name) => spreadRow(toLastMember(name), floorOf(report, name))),
    "",
    `lost: ${report.lost} of ${report.writes} (stores: ${report.storesLost})`,
    ...COMPARED.flatMap((name) => lostLine(NAMES[name], floorOf(report, name))),
    ...ratioLines(report),
    ...agentLines(report),
    "",
    row("cost", ["CPU/member", "CPU/write", "memory", "sent/host s", "lag p50", "lag p99"]),
    ...(["ours", ...COMPARED] as const).flatMap((name) => costRow(NAMES[name], report.cost[name])),
    ...(report.cost.ours === null
      ? []
      : [`gossip that came twice, for each write: ${report.cost.ours.duplicatesPerWrite}`]),
    `events of the others: ${payloadBytes} bytes, as a gossip message of ours; lag is the worst member's`,
    "",
  ].join("\n");
}

function floorOf({ floor, serf }: Report, name: (typeof COMPARED)[number]): Report["serf"] {
  return name === "serf" ? serf : floor[name];
}

/** What did not arrive is in no percentile: who loses much looks fast without this. */
function lostLine(name: string, view: Report["serf"]): readonly string[] {
  return view === null || view.lost === 0
    ? []
    : [`lost by ${name}: ${view.lost} of ${view.count + view.lost}`];
}

function ratioLines({ ratios }: Report): readonly string[] {
  return [
    describeRatio("p99 of ours to the last member over streams, each round", ratios.lastToStreams),
    describeRatio("p99 of Serf over ours, each round", ratios.serfToLast),
  ].flatMap((line) => line ?? []);
}

function agentLines({ agents }: Report): readonly string[] {
  if (agents === null) return [];
  const { p50Ms, p99Ms, storesP50Ms, storesP99Ms, lost, writes } = agents;
  return [
    `the agents' own measure: last proxy p50 ${formatMs(p50Ms)} p99 ${formatMs(p99Ms)}, last store p50 ${formatMs(storesP50Ms)} p99 ${formatMs(storesP99Ms)}; lost ${lost} of ${writes}`,
  ];
}

function spreadRow(name: string, spread: Spread | null): string {
  if (spread === null) return row(name, ["–", "–", "–", "–", "–"]);
  const { p50Ms, p90Ms, p99Ms, maxMs, count } = spread;
  return row(name, [...[p50Ms, p90Ms, p99Ms, maxMs].map(formatMs), String(count)]);
}

function costRow(name: string, cost: Cost | null): readonly string[] {
  if (cost === null) return [];
  const sent = cost.sentBytesPerHostSecond === null ? "–" : formatBytes(cost.sentBytesPerHostSecond);
  return [
    row(name, [
      `${cost.cpuPercentPerMember.toFixed(1)} %`,
      formatMs(cost.cpuMsPerWrite),
      formatBytes(cost.rssBytesPerMember),
      sent,
      formatMs(cost.lagP50Ms),
      formatMs(cost.lagP99Ms),
    ]),
  ];
}

function row(name: string, cells: readonly string[]): string {
  return `${name.padEnd(30)}${cells.map((cell) => cell.padStart(12)).join("")}`;
}
