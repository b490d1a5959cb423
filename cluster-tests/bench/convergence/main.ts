// `grapevine bench convergence`: how soon a VM's change is in force at every proxy, beside what the machine can do at best, in
// interleaved rounds: one system at a time, each started anew, in an order that turns by one each round.

import { writeFileSync } from "node:fs";
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { messageOf } from "../../../mesh/index.ts";
import { seededRandom } from "../../../mesh/sim/seeded-random.ts";
import { endOfSession } from "../../../node/cli/dev/end-of-session.ts";
import { whyNoEngine } from "../../harness/containers/engine.ts";
import { findContainers } from "./container-place.ts";
import { gossipBytes, type Judged, judge } from "./judge.ts";
import { type BenchOptions, type Driver, parseOptions, printJsonError } from "./options.ts";
import type { FindPlaceKind, Place, PlaceKind } from "./place.ts";
import { findProcesses } from "./process-place.ts";
import { htmlReport } from "./report/html.ts";
import { lastOf, type Round, reportOf } from "./report/report.ts";
import { textReport } from "./report/text.ts";
import { formatMs, NAMES } from "./report/words.ts";
import { runSystem, type SystemRun } from "./run-system.ts";
import { planWrites } from "./schedule.ts";
import { spreadOf } from "./stats.ts";
import type { SystemName } from "./system.ts";

/** Until our own messages were measured. */
const PAYLOAD_BYTES_DEFAULT = 600;

const PLACES = { process: findProcesses, container: findContainers } as const satisfies Record<
  Driver,
  FindPlaceKind
>;

/** `argv` is what follows "convergence". Resolves with the exit code. */
export async function runBench(argv: readonly string[]): Promise<number> {
  const options = parseOptions(argv);
  if (typeof options === "number") return options;
  const refused = await refusal(options);
  if (refused !== null) {
    process.stderr.write(`grapevine bench convergence: ${refused}\n`);
    if (options.json) printJsonError(refused);
    return 2;
  }
  const signal = endOfSession();
  try {
    return await new Bench(options, signal).run();
  } catch (error) {
    const isGone = !(error instanceof NotGoneError);
    const message = signal.aborted && isGone ? "interrupted: nothing of it runs any more" : messageOf(error);
    process.stderr.write(`grapevine bench convergence: ${message}\n`);
    if (options.json)
      process.stdout.write(`${JSON.stringify({ error: { code: "failed", message }, exitCode: 1 })}\n`);
    return 1;
  }
}

async function refusal({ driver, html }: BenchOptions): Promise<string | null> {
  const whyNot = driver === "container" ? await whyNoEngine() : null;
  if (whyNot !== null)
    return `--driver container: no Docker engine answers (${whyNot}): start it, or docker/start-engine does, or use --driver process`;
  if (html === null) return null;
  try {
    // A run takes minutes: what cannot be written is said before.
    writeFileSync(html, "", { flag: "a" });
    return null;
  } catch (error) {
    return `--html: ${messageOf(error)}`;
  }
}

class Bench {
  readonly #options: BenchOptions;
  readonly #signal: AbortSignal;
  readonly #originNs = process.hrtime.bigint();
  #payloadBytes = PAYLOAD_BYTES_DEFAULT;

  constructor(options: BenchOptions, signal: AbortSignal) {
    this.#options = options;
    this.#signal = signal;
  }

  async run(): Promise<number> {
    const { rounds: count, json, seed, driver, floors } = this.#options;
    const rounds: Round[] = [];
    this.#say(`seed ${seed}`);
    const kind = await PLACES[driver]({ withSerf: floors.includes("serf"), signal: this.#signal });
    if (kind.whyNoSerf !== null) this.#say(`Serf is not compared with: ${kind.whyNoSerf}`);
    const compared = floors.filter((floor) => floor !== "serf" || kind.whyNoSerf === null);
    const systems = ["ours", ...compared] as const;
    for (let number = 1; number <= count; number += 1) rounds.push(await this.#round(number, systems, kind));
    const measured = { node: kind.node, payloadBytes: this.#payloadBytes };
    const report = reportOf(this.#options, rounds, measured);
    const { html } = this.#options;
    if (html !== null) writeFileSync(html, htmlReport(this.#options, report, rounds));
    process.stdout.write(json ? `${JSON.stringify(report)}\n` : textReport(report));
    return report.lost + report.storesLost === 0 ? 0 : 1;
  }

  async #round(number: number, systems: readonly SystemName[], kind: PlaceKind): Promise<Round> {
    const turn = (number - 1) % systems.length;
    const judged: Judged[] = [];
    for (const system of [...systems.slice(turn), ...systems.slice(0, turn)])
      judged.push(await this.#system(number, system, kind));
    return { number, systems: judged };
  }

  async #system(number: number, system: SystemName, kind: PlaceKind): Promise<Judged> {
    const { hosts, proxies, rate, seconds, seed, rounds, profile } = this.#options;
    const say = (what: string): void => this.#say(`round ${number}/${rounds}: ${NAMES[system]}: ${what}`);
    const profileFolder = profile === null ? null : join(profile, `${number}-${system}`);
    if (profileFolder !== null) await mkdir(profileFolder, { recursive: true });
    const originNs = this.#originNs;
    const place = await kind.open({ originNs, profileFolder, signal: this.#signal, say });
    try {
      const run = await runSystem({
        system,
        size: { hosts, proxies },
        // All systems of a round are written to at the same times.
        plan: planWrites({ hosts, rate, seconds, random: seededRandom(seed + number) }),
        payloadBytes: this.#payloadBytes,
        place,
        nowMs: () => Number(process.hrtime.bigint() - originNs) / 1e6,
        signal: this.#signal,
        say,
      });
      return this.#judge(run, say);
    } finally {
      await stopPlace(place);
    }
  }

  #judge(run: SystemRun, say: (what: string) => void): Judged {
    this.#payloadBytes = gossipBytes(run) ?? this.#payloadBytes;
    const judged = judge(run);
    const spread = spreadOf(lastOf(judged));
    const figures = spread === null ? "" : `p50 ${formatMs(spread.p50Ms)}, p99 ${formatMs(spread.p99Ms)}, `;
    say(`${figures}lost ${judged.lost}, CPU ${judged.cost.cpuMsPerWrite} ms a write`);
    return judged;
  }

  #say(line: string): void {
    const seconds = Number(process.hrtime.bigint() - this.#originNs) / 1e9;
    process.stderr.write(`${seconds.toFixed(1).padStart(6)} s  ${line}\n`);
  }
}

/** Something of it may be left: an end that is not to be called one. */
class NotGoneError extends Error {}

async function stopPlace(place: Place): Promise<void> {
  try {
    await place.stop();
  } catch (error) {
    throw new NotGoneError(messageOf(error));
  }
}
