// Measured cluster: deploys of one app through the API of the agent that drives it, and what one commit and one round trip of acks
// cost there.

import type { DevClusterView } from "../../../node/cli/dev/dev-cluster.ts";
import type { AppView } from "../../../node/deploy/app-view.ts";
import { AppWatch } from "./app-watch.ts";
import { endedWell, type Tally, tally } from "./tally.ts";
import type { TimedApp } from "./timed-app.ts";

/** Milliseconds. */
export interface Control {
  readonly commitMs: number;
  readonly ackMs: number;
}

export class MeasuredCluster {
  readonly #api: string;
  readonly #proxy: string;
  readonly #app: TimedApp;
  readonly #signal: AbortSignal;
  #watch: AppWatch | null = null;
  #releases = 0;

  /** Resolves when the app's first release serves: before that there is nothing to deploy over. */
  static async start(view: DevClusterView, app: TimedApp, signal: AbortSignal): Promise<MeasuredCluster> {
    const cluster = new MeasuredCluster(view, app, signal);
    const rollout = await cluster.#submit(await cluster.#upload());
    cluster.#watch = await AppWatch.start(cluster.#api, app.name);
    await cluster.#watch.until((seen) => isOver(seen, rollout), signal);
    return cluster;
  }

  private constructor({ agents, proxies }: DevClusterView, app: TimedApp, signal: AbortSignal) {
    const [first, proxy] = [agents[0], proxies[0]];
    if (first === undefined || proxy === undefined) throw new Error("bug: a cluster without them");
    this.#api = first.api;
    this.#proxy = proxy.name;
    this.#app = app;
    this.#signal = signal;
  }

  stop(): void {
    this.#watch?.stop();
  }

  async deploy(): Promise<Tally> {
    const watch = this.#watched();
    watch.forget();
    const before = watch.seen[0]?.view.epoch ?? 0;
    const spec = await this.#upload();
    const beganMs = performance.now();
    const rollout = await this.#submit(spec);
    const end = await watch.until((view) => isOver(view, rollout), this.#signal);
    const first = watch.seen.find(({ view }) => view.epoch > before);
    const { steps, started, stopped } = endedWell(end.view);
    return tally({
      totalMs: end.atMs - beganMs,
      submitMs: (first?.atMs ?? end.atMs) - beganMs,
      steps,
      startMs: await this.#startTookMs(started),
      stopMs: this.#app.stopTookMs(stopped),
    });
  }

  /** Leaves the record as it was. */
  async control(): Promise<Control> {
    const excluded = await this.#change("exclude");
    const included = await this.#change("include");
    return {
      commitMs: (excluded.commitMs + included.commitMs) / 2,
      ackMs: (excluded.ackMs + included.ackMs) / 2,
    };
  }

  async #change(verb: "exclude" | "include"): Promise<Control> {
    const watch = this.#watched();
    watch.forget();
    const before = watch.seen[0]?.view.epoch ?? 0;
    const changeMs = await this.#exclusion(verb);
    const committed = await watch.until(({ epoch }) => epoch > before, this.#signal);
    const acked = await watch.until((view) => isAcked(view, committed.view.epoch), this.#signal);
    const readMs = await this.#exclusion(verb);
    return { commitMs: changeMs - readMs, ackMs: acked.atMs - committed.atMs };
  }

  async #exclusion(verb: string): Promise<number> {
    const beganMs = performance.now();
    await this.#ask(`/v1/proxies/${this.#proxy}/${verb}?app=${this.#app.name}`, { method: "POST" });
    return performance.now() - beganMs;
  }

  async #upload(): Promise<object> {
    this.#releases += 1;
    const { spec, hash, bundle } = await this.#app.release(this.#releases);
    await this.#ask(`/v1/bundles/${hash}`, { method: "PUT", body: Buffer.from(bundle) });
    return spec;
  }

  /** Resolves with the name of the rollout. */
  async #submit(spec: object): Promise<string> {
    const asked = { method: "POST", body: JSON.stringify(spec) };
    const { rollout } = await this.#ask<{ rollout: string }>(`/v1/apps/${this.#app.name}/deploys`, asked);
    return rollout;
  }

  async #startTookMs(vm: string): Promise<number> {
    const sql = "select healthy_at_ms - started_at_ms as took from vms where vm = ?";
    const asked = { method: "POST", body: JSON.stringify({ sql, params: [vm] }) };
    const { rows } = await this.#ask<{ rows: readonly (readonly [number | null])[] }>("/v1/query", asked);
    const took = rows[0]?.[0];
    if (took == null) throw new Error(`nothing says when ${vm} was started and found healthy`);
    return took;
  }

  async #ask<Answer>(path: string, asked: RequestInit): Promise<Answer> {
    const response = await fetch(`${this.#api}${path}`, { ...asked, signal: this.#signal });
    const text = await response.text();
    if (!response.ok) throw new Error(`${path}: ${response.status} ${text}`);
    return JSON.parse(text) as Answer;
  }

  #watched(): AppWatch {
    if (this.#watch === null) throw new Error("bug: not started");
    return this.#watch;
  }
}

function isOver({ rollout }: AppView, id: string): boolean {
  return rollout?.id === id && rollout.state !== "running";
}

function isAcked({ proxies }: AppView, epoch: number): boolean {
  return proxies.length > 0 && proxies.every(({ applied }) => applied >= epoch);
}
