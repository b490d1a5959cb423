// HTML: the report as one page without scripts or anything from elsewhere, to read, to keep, to print.

import type { Cost, Judged } from "../judge.ts";
import type { BenchOptions } from "../options.ts";
import type { Spread } from "../stats.ts";
import type { SystemName } from "../system.ts";
import { type Curve, distributionPlot } from "./distribution.ts";
import { lastOf, type Report, type Round } from "./report.ts";
import { STYLE } from "./style.ts";
import { element, escapeText } from "./svg.ts";
import { timeline, timelineRange } from "./timeline.ts";
import { COMPARED, formatBytes, formatMs, NAMES, toLastMember } from "./words.ts";

export function htmlReport(options: BenchOptions, report: Report, rounds: readonly Round[]): string {
  const title = "Grapevine: how soon a change is in force everywhere";
  const body = [
    element("h1", {}, "How soon a change is in force everywhere"),
    lead(report),
    tiles(report),
    latencies(report),
    distribution(rounds),
    timelines(report, rounds),
    ratios(report),
    costs(report),
    method(report),
    element("h2", {}, "Run it again"),
    element("pre", {}, escapeText(commandLine(options))),
  ];
  return `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>${title}</title><style>${STYLE}</style></head>
<body>${body.join("\n")}</body></html>
`;
}

/** Exactly what measures this again: the writes of all systems come at the same times from the same hosts. */
export function commandLine(options: BenchOptions): string {
  const { hosts, proxies, rate, seconds, rounds, driver, seed, floors } = options;
  const list = floors.length === 0 ? "none" : floors.join(",");
  return `npx grapevine bench convergence --hosts ${hosts} --proxies ${proxies} --rate ${rate} --seconds ${seconds} --rounds ${rounds} --driver ${driver} --seed ${seed} --floors ${list} --html convergence.html`;
}

function lead({ hosts, proxies, rate, seconds, rounds, seed, driver, node }: Report): string {
  const text = `${hosts} hosts and ${proxies} proxies (${driver}), ${rate} writes a second, ${seconds} s in each of ${rounds} ${rounds === 1 ? "round" : "rounds"}, no faults. Seed ${seed}, Node ${node}.`;
  return element("p", { class: "lead" }, escapeText(text));
}

function tiles({ lost, writes, last, ratios }: Report): string {
  const tile = (look: string, figure: string, what: string): string =>
    element("div", { class: `tile ${look}` }, element("b", {}, figure), element("span", {}, what));
  const times = (median: number | null): string => (median === null ? "–" : `${median}×`);
  return element(
    "div",
    { class: "tiles" },
    tile(lost === 0 ? "good" : "bad", `${lost} lost`, `of ${writes} writes`),
    tile("", formatMs(last?.p50Ms ?? null), "median, to the last proxy"),
    tile("", formatMs(last?.p99Ms ?? null), "99th percentile, to the last proxy"),
    tile("", times(ratios.lastToStreams.median), "of bare libp2p streams, at the 99th percentile"),
    tile("", times(ratios.serfToLast.median), "as long as that takes Serf, at the 99th percentile"),
  );
}

function latencies(report: Report): string {
  const row = (name: string, spread: Spread | null, lost: number | null, isMain = false): string =>
    element(
      "tr",
      isMain ? { class: "main" } : {},
      ...[
        name,
        ...[spread?.p50Ms, spread?.p90Ms, spread?.p99Ms, spread?.maxMs].map((ms) => formatMs(ms ?? null)),
        spread === null ? "–" : String(spread.count),
        lost === null ? "–" : String(lost),
      ].map((cell) => element("td", {}, cell)),
    );
  return [
    element("h2", {}, "Latency"),
    tableOf(
      ["from a write's commit to", "p50", "p90", "p99", "max", "figures", "lost"],
      [
        row("Grapevine: the last proxy's route table in force", report.last, report.lost, true),
        row("Grapevine: each proxy's route table in force", report.each, null),
        row("Grapevine: the last store, of hosts and proxies", report.stores, report.storesLost),
        row("Grapevine: of that, from a proxy's store to its table", report.table, null),
        ...COMPARED.map((name) => {
          const view = name === "serf" ? report.serf : report.floor[name];
          return row(toLastMember(name), view, view?.lost ?? null);
        }),
      ],
    ),
  ].join("\n");
}

function distribution(rounds: readonly Round[]): string {
  const all = (name: SystemName): readonly Judged[] =>
    rounds.flatMap(({ systems }) => systems.filter(({ system }) => system === name));
  const curves: readonly Curve[] = [
    { name: toLastMember("raw"), look: "raw", figuresMs: all("raw").flatMap(lastOf) },
    { name: toLastMember("streams"), look: "streams", figuresMs: all("streams").flatMap(lastOf) },
    { name: "Grapevine, each proxy", look: "each", figuresMs: all("ours").flatMap(({ eachMs }) => eachMs) },
    {
      name: "Grapevine, last store",
      look: "store",
      figuresMs: all("ours").flatMap(({ lastStoreMs }) => lastStoreMs),
    },
    { name: "Grapevine, last proxy", look: "ours", figuresMs: all("ours").flatMap(lastOf) },
    { name: toLastMember("serf"), look: "serf", figuresMs: all("serf").flatMap(lastOf) },
  ].filter(({ figuresMs }) => figuresMs.length > 0);
  const legend = curves.map(({ name, look }) =>
    element(
      "li",
      {},
      `<svg viewBox="0 0 30 10"><path d="M0 5H30" class="curve ${look}"/></svg>`,
      escapeText(name),
    ),
  );
  return [
    element("h2", {}, "Distribution"),
    element(
      "p",
      { class: "note" },
      "The share of writes that had arrived by then. The upper end is stretched: each line further up is ten times rarer.",
    ),
    element("figure", {}, distributionPlot(curves), element("ul", { class: "legend" }, ...legend)),
  ].join("\n");
}

function timelines({ seconds }: Report, rounds: readonly Round[]): string {
  const ours = rounds.flatMap(({ number, systems }) =>
    systems.filter(({ system }) => system === "ours").map(({ writes }) => ({ number, writes })),
  );
  const range = timelineRange(ours.flatMap(({ writes }) => writes));
  return [
    element("h2", {}, "Each write over time"),
    element(
      "p",
      { class: "note" },
      "When it was committed, and how long until the last proxy routed by it. A cross is a write that was lost.",
    ),
    ...ours.flatMap(({ number, writes }) => [
      element("h3", {}, `Round ${number}`),
      element("figure", {}, timeline({ writes, seconds, range })),
    ]),
  ].join("\n");
}

function ratios({ perRound }: Report): string {
  const cell = (ms: number | undefined | null): string => element("td", {}, formatMs(ms ?? null));
  const rows = perRound.map(({ round, order, last }) =>
    element(
      "tr",
      {},
      element("td", {}, `${round}: ${order.join(", ")}`),
      ...(["ours", ...COMPARED] as const).map((name) => cell(last[name]?.p99Ms)),
    ),
  );
  return [
    element("h2", {}, "Round by round"),
    element(
      "p",
      { class: "note" },
      "99th percentile to the last. Only one system runs at a time, each started anew; compare within a round, since the machine may be busier in another.",
    ),
    tableOf(["round, in the order in which they ran", "Grapevine", "raw TCP", "streams", "Serf"], rows),
  ].join("\n");
}

function costs(report: Report): string {
  const row = (name: string, cost: Cost): string =>
    element(
      "tr",
      {},
      ...[
        name,
        `${cost.cpuPercentPerMember.toFixed(1)} %`,
        formatMs(cost.cpuMsPerWrite),
        formatBytes(cost.rssBytesPerMember),
        cost.sentBytesPerHostSecond === null ? "–" : formatBytes(cost.sentBytesPerHostSecond),
        formatMs(cost.lagP50Ms),
        formatMs(cost.lagP99Ms),
        cost.duplicatesPerWrite === null ? "–" : cost.duplicatesPerWrite.toFixed(1),
      ].map((text) => element("td", {}, text)),
    );
  const rows = (["ours", ...COMPARED] as const).flatMap((name) => {
    const cost = report.cost[name];
    return cost === null ? [] : [row(NAMES[name], cost)];
  });
  return [
    element("h2", {}, "What it costs"),
    tableOf(
      [
        "",
        "CPU of a member",
        "CPU of all, a write",
        "memory of a member",
        "sent by a host, a second",
        "loop lag p50",
        "p99",
        "duplicates a write",
      ],
      rows,
    ),
    element(
      "p",
      { class: "note" },
      "CPU is of one core and includes what a member does when nothing is written. Event-loop lag is the worst member's. Ours runs whole agents and proxies; the floors only send and receive.",
    ),
  ].join("\n");
}

function method({ payloadBytes, agents }: Report): string {
  const measured =
    agents === null
      ? ""
      : ` The agents' own measure in /metrics, an upper bound with the way back of the answers, said for the same writes: p50 ${formatMs(agents.p50Ms)}, p99 ${formatMs(agents.p99Ms)}, ${agents.lost} lost.`;
  const text = `A write is a VM's health that turns over on a real agent, of an app that was deployed through its API; it counts from the breath in which it was stamped until a proxy's route table in force contains it, which is looked at again in the table itself afterwards. Times are CLOCK_MONOTONIC, which all processes of a machine share. Writes come by a schedule from the seed, whatever became of those before. Whom a write must reach is fixed beforehand; what has not arrived 10 s after the last write is lost. The others carry events of ${payloadBytes} bytes, as a gossip message of ours, by the same schedule.`;
  return [element("h2", {}, "How it was measured"), element("p", {}, escapeText(text + measured))].join("\n");
}

function tableOf(heads: readonly string[], rows: readonly string[]): string {
  const head = element("tr", {}, ...heads.map((text) => element("th", {}, text)));
  return element(
    "div",
    { class: "wide" },
    element("table", {}, element("thead", {}, head), element("tbody", {}, ...rows)),
  );
}
