// Driver kills: kill -9 of the agent that drives, at moments that a seed chooses, in deploys under load. Each must end by itself, fail no
// request, leave what was asked for and nothing else, and no swap may have two winners.

import { setTimeout as delay } from "node:timers/promises";
import { seededRandom } from "../../mesh/sim/seeded-random.ts";
import type { AppView } from "../../node/deploy/app-view.ts";
import { getJson, until } from "./observe.ts";
import { RecordWatch } from "./record-watch.ts";
import { type Failures, failures, Scenario } from "./scenario.ts";

/** `steps`: as many as a deploy of two VMs takes by it. */
interface KilledStrategy {
  readonly name: string;
  readonly deploy: readonly string[];
  readonly steps: number;
}

export const KILLED_STRATEGIES: readonly KilledStrategy[] = [
  { name: "rolling", deploy: ["max_surge = 1"], steps: 8 },
  { name: "rolling with one fewer", deploy: ["max_surge = 1", "max_unavailable = 1"], steps: 6 },
  { name: "immediate", deploy: ['strategy = "immediate"'], steps: 4 },
  { name: "bluegreen", deploy: ['strategy = "bluegreen"', 'keep_old = "1s"'], steps: 3 },
];

export interface DriverKillsOptions {
  readonly hosts: number;
  readonly proxies: number;
  readonly ratePerSecond: number;
  readonly seed: number;
  readonly say: (line: string) => void;
}

export interface StrategyReport {
  readonly strategy: string;
  readonly kills: readonly DriverKill[];
  /** Of each deploy, from its submission to its end, the command's start included. */
  readonly deployMs: readonly number[];
  readonly requests: number;
  readonly failures: Failures;
  /** Empty: all was as it must be, but for requests that failed. */
  readonly faults: readonly string[];
}

interface DriverKill {
  readonly driver: string;
  /** The step that was in force when it was looked at last, a moment before. */
  readonly during: string;
  /** `process.hrtime` milliseconds, as the load has them. */
  readonly atMs: number;
}

/** A step takes tens of milliseconds: of the moments some lie within one, some between two. */
const MOMENT_MS_MAX = 150;
const VMS = 2;

export class DriverKills {
  readonly #options: DriverKillsOptions;
  readonly #random: () => number;
  readonly #scenario: Scenario;
  #deploys = 0;

  static async start(options: DriverKillsOptions): Promise<DriverKills> {
    const { hosts, proxies } = options;
    const kills = new DriverKills(options, await Scenario.start({ hosts, proxies, isStaggered: hosts > 3 }));
    const first = kills.#scenario.app({ count: VMS, greeting: "deploy 0" });
    const { code, stdout, stderr } = await kills.#scenario.run(["deploy", first.file]);
    if (code !== 0) throw new Error(`the first deploy: ${code}\n${stdout}${stderr}`);
    return kills;
  }

  private constructor(options: DriverKillsOptions, scenario: Scenario) {
    this.#options = options;
    this.#random = seededRandom(options.seed);
    this.#scenario = scenario;
  }

  stop(): Promise<void> {
    return this.#scenario.stop();
  }

  /** So many deploys, and in each the driver is killed once. */
  async run(strategy: KilledStrategy, deploys: number): Promise<StrategyReport> {
    const { ratePerSecond, say } = this.#options;
    const { agents } = this.#scenario.view;
    const watch = new RecordWatch(Object.fromEntries(agents.map(({ name, api }) => [name, api])), "web");
    const client = this.#scenario.load({ ratePerSecond });
    const [kills, deployMs, faults]: [DriverKill[], number[], string[]] = [[], [], []];
    for (let count = 1; count <= deploys; count += 1) {
      const beganMs = performance.now();
      const { kill, ended } = await this.#deploy(strategy);
      kills.push(kill);
      const result = await ended;
      deployMs.push(performance.now() - beganMs);
      const told = `${strategy.name} ${count}/${deploys}: ${kill.driver} killed during ${kill.during}`;
      say(`${told}, over after ${Math.round(performance.now() - beganMs)} ms with exit code ${result.code}`);
      if (result.code !== 0)
        faults.push(`${told}: exit code ${result.code}\n${result.stdout}${result.stderr}`);
      await this.#untilOnly(result.rollout).catch((error: unknown) => faults.push(`${told}: ${error}`));
      await this.#scenario.cluster.ready(kill.driver);
    }
    const samples = await client.stop();
    await watch.stop();
    if (watch.epochs < deploys) faults.push(`only ${watch.epochs} records were seen`);
    return {
      strategy: strategy.name,
      kills,
      deployMs,
      requests: samples.length,
      failures: failures(samples),
      faults: [...faults, ...watch.faults],
    };
  }

  async #deploy({ deploy, steps }: KilledStrategy) {
    this.#deploys += 1;
    const app = this.#scenario.app({ count: VMS, greeting: `deploy ${this.#deploys}`, deploy });
    const moment = { steps: this.#below(steps), ms: this.#below(MOMENT_MS_MAX) };
    const host = `host-${1 + this.#below(this.#options.hosts)}`;
    const deploying = this.#scenario.start(["deploy", app.file], host);
    const said = await deploying.waitFor(/^web-v\d+: submitted\n/);
    const rollout = /^web-v\d+/.exec(said)?.[0] ?? "";
    const kill = await this.#kill(rollout, moment);
    return { kill, ended: deploying.result.then((result) => ({ ...result, rollout })) };
  }

  #below(count: number): number {
    return Math.floor(this.#random() * count);
  }

  /** Once so many steps are over, and then so many milliseconds later: before that nobody knows where it is by then. */
  async #kill(rollout: string, moment: { readonly steps: number; readonly ms: number }): Promise<DriverKill> {
    const view = await until(`step ${moment.steps} of ${rollout}`, async () => {
      const seen = (await this.#newestView())?.rollout;
      if (seen?.id !== rollout) return null;
      return seen.history.length >= moment.steps || seen.state !== "running" ? seen : null;
    });
    await delay(moment.ms);
    const { driver } = view;
    const killed = this.#scenario.pid(driver);
    process.kill(killed, "SIGKILL");
    const atMs = Number(process.hrtime.bigint()) / 1e6;
    // Its supervisor starts it again. The deploy does not wait for that; the next one may be submitted there.
    await until("the agent's new process", () => (this.#scenario.pid(driver) === killed ? null : true));
    const during = view.state === "running" ? `${view.step?.number} ${view.step?.kind}` : "its end";
    return { driver, during: `${during} + ${moment.ms} ms`, atMs };
  }

  async #newestView(): Promise<AppView | null> {
    const { agents } = this.#scenario.view;
    // As `status` names the driver: any voter may answer, and one that was killed just now does not.
    const views = agents.map(({ api }) => getJson<AppView>(`${api}/v1/apps/web`).catch(() => null));
    const found = (await Promise.all(views)).filter((view) => view !== null);
    return found.sort((left, right) => right.epoch - left.epoch)[0] ?? null;
  }

  /** By the machine's process table. */
  async #untilOnly(rollout: string): Promise<void> {
    const wanted = Array.from({ length: VMS }, (_, at) => `${rollout}-${at + 1}`).join();
    await until(`only ${wanted} runs`, () => (this.#scenario.runningVms().join() === wanted ? true : null));
  }
}
