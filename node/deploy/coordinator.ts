// Coordinator: the shell around the machines, on a voter's agent. It feeds them what the mesh and the register say,
// carries out their effects, and answers the API. It keeps no state: all of it is read again at its start.

import { setTimeout as delay } from "node:timers/promises";
import type { Logger } from "pino";
import {
  ACK_TOPIC,
  type AppName,
  type AppSpec,
  appName,
  type CommittedApp,
  type EntryChange,
  isName,
  type MemberName,
  type Mesh,
  type Register,
  type VmName,
} from "../../mesh/index.ts";
import { AckInbox } from "./ack-inbox.ts";
import type { AppView } from "./app-view.ts";
import type { CommitContext } from "./core/commits.ts";
import { Rollout, type RolloutEffect, type RolloutInput } from "./core/rollout.ts";
import { type Submission, submitDeploy, submitDestroy, submitStop } from "./core/submit.ts";
import type { Deploys, SubmitResult } from "./deploys.ts";
import { isRegistration, Observations, type VmObservation } from "./observations.ts";
import { specHash } from "./spec-hash.ts";

export interface CoordinatorDeps {
  readonly mesh: Mesh;
  readonly register: Register;
  readonly logger: Pick<Logger, "info" | "warn" | "error">;
  /** Monotonic. */
  readonly nowMs: () => number;
  /** Since 1970: for people. */
  readonly wallMs: () => number;
}

/** One app: its machine and the timer that it asked for. */
interface Driven {
  readonly machine: Rollout;
  timer: NodeJS.Timeout | null;
}

/** After a swap whose outcome is not known: the register is read again after this. Short, since a rollout stands still. */
const REREAD_MS = 250;
/** setTimeout's own bound; a longer wait is taken in several. */
const TIMER_MS_MAX = 2 ** 31 - 1;
/** Swaps of one submission that may lose against our own machine before it is given up. */
const SUBMIT_TRIES_MAX = 10;

export class Coordinator implements Deploys {
  readonly #deps: CoordinatorDeps;
  readonly #observations: Observations;
  readonly #inbox: AckInbox;
  readonly #apps = new Map<AppName, Driven>();
  readonly #watchers = new Map<AppName, Set<() => void>>();
  readonly #stopping = new AbortController();
  readonly #running = new Set<Promise<void>>();
  readonly #unsubscribe: (() => void)[] = [];
  readonly #started = Promise.withResolvers<void>();
  /** Submissions one after the other, from the start on: two apps cannot take one hostname at once. */
  #submitting: Promise<unknown> = this.#started.promise;

  constructor(deps: CoordinatorDeps) {
    this.#deps = deps;
    this.#observations = new Observations(deps.mesh);
    this.#inbox = new AckInbox({
      mesh: deps.mesh,
      nameOf: (owner) => this.#observations.nameOf(owner),
      isDriven: (app) => this.#apps.has(app),
      onAck: (proxy, ack) => this.#feed(ack.app, { kind: "ack", proxy, ack }),
    });
  }

  /** Reads every app and drives on what runs. Call after the mesh was announced. */
  async start(): Promise<void> {
    const { mesh, register } = this.#deps;
    this.#observations.refresh();
    for (const committed of await register.list()) this.#learn(committed);
    this.#unsubscribe.push(
      mesh.onChange((change) => this.#onChange(change)),
      mesh.onMembers(() => this.#onMembers()),
    );
    mesh.onTell(ACK_TOPIC, (message, from) => this.#inbox.receive(message, from));
    this.#onMembers();
    this.#started.resolve();
  }

  /** Rollouts stand still until a coordinator starts again. Ends all watches. */
  async stop(): Promise<void> {
    this.#stopping.abort();
    this.#started.resolve();
    for (const unsubscribe of this.#unsubscribe.splice(0)) unsubscribe();
    for (const { timer } of this.#apps.values()) if (timer !== null) clearTimeout(timer);
    await Promise.all([...this.#running, this.#inbox.stop()]);
  }

  async submit(spec: AppSpec): Promise<SubmitResult> {
    if (!isName(spec.name)) return { code: "invalid", message: `"${spec.name}" cannot name an app` };
    const app = appName(spec.name);
    const hash = specHash(spec);
    return this.#submitted(app, (apps, context) =>
      submitDeploy({ app, spec, specHash: hash, apps }, context),
    );
  }

  async stopVm(vm: VmName): Promise<SubmitResult> {
    const apps = await this.#deps.register.list();
    const owner = apps.find(({ record }) => record.vms.some((candidate) => candidate.vm === vm));
    if (owner === undefined) return { code: "invalid", message: `no VM ${vm}: "grapevine vms" lists them` };
    const { app } = owner.record;
    return this.#submitted(app, (all, context) => submitStop(find(all, app), vm, context));
  }

  destroy(app: AppName): Promise<SubmitResult> {
    return this.#submitted(app, (all, context) => submitDestroy(find(all, app), app, context));
  }

  views(): readonly AppView[] {
    const names = [...this.#apps.keys()].sort();
    return names.flatMap((app) => this.view(app) ?? []).filter((view) => !view.deleted);
  }

  view(app: AppName): AppView | null {
    return this.#apps.get(app)?.machine.view(this.#deps.nowMs()) ?? null;
  }

  /** One line for each machine. */
  describe(): readonly string[] {
    return [...this.#apps.values()].map(({ machine }) => machine.describe());
  }

  async *watch(app: AppName, signal: AbortSignal): AsyncGenerator<AppView> {
    const ended = AbortSignal.any([signal, this.#stopping.signal]);
    let wake = Promise.withResolvers<void>();
    const listener = () => wake.resolve();
    const listeners = this.#watchers.get(app) ?? new Set();
    this.#watchers.set(app, listeners.add(listener));
    ended.addEventListener("abort", listener, { once: true });
    try {
      while (!ended.aborted) {
        wake = Promise.withResolvers<void>();
        const view = this.view(app);
        if (view !== null) yield view;
        if (!ended.aborted) await wake.promise;
      }
    } finally {
      ended.removeEventListener("abort", listener);
      listeners.delete(listener);
      if (listeners.size === 0 && this.#watchers.get(app) === listeners) this.#watchers.delete(app);
    }
  }

  #submitted(
    app: AppName,
    submission: (apps: readonly CommittedApp[], context: CommitContext) => Submission,
  ): Promise<SubmitResult> {
    const result = this.#submitting.then(() => this.#trySubmit(app, submission));
    this.#submitting = result.catch(() => undefined);
    return result;
  }

  async #trySubmit(
    app: AppName,
    submission: (apps: readonly CommittedApp[], context: CommitContext) => Submission,
  ): Promise<SubmitResult> {
    const { register } = this.#deps;
    for (let tries = 0; tries < SUBMIT_TRIES_MAX && !this.#stopping.signal.aborted; tries += 1) {
      const apps = await register.list();
      this.#feed(app, { kind: "hosts", hosts: this.#observations.hosts(this.#loads()) });
      const { machine } = this.#apps.get(app) ?? this.#newDriven(app);
      const submitted = submission(apps, machine.context(this.#deps.nowMs()));
      if (submitted.code !== "begin") return answerTo(app, submitted);
      const result = await register.swap(app, find(apps, app)?.epoch ?? 0, submitted.record);
      if (result.code === "committed") {
        this.#learn(result.committed);
        return { ...accepted(app, submitted.rollout), joined: false };
      }
      if (result.code === "unavailable") {
        return {
          code: "unavailable",
          message: `no majority of voters: ${result.missing.join(", ")} missing`,
        };
      }
    }
    return { code: "unavailable", message: `the record of ${app} could not be changed: try again` };
  }

  #learn(committed: CommittedApp | null): void {
    if (committed === null) return;
    const { app } = committed.record;
    if (!this.#apps.has(app)) this.#apps.set(app, this.#newDriven(app));
    this.#feed(app, { kind: "committed", committed });
  }

  #newDriven(app: AppName): Driven {
    const { mesh, nowMs, wallMs } = this.#deps;
    const options = { app, driver: mesh.self.name, wallOffsetMs: wallMs() - nowMs() };
    const machine = new Rollout(options);
    const inputs: readonly RolloutInput[] = [
      { kind: "proxies", proxies: this.#observations.proxies() },
      { kind: "hosts", hosts: this.#observations.hosts(this.#loads()) },
      ...[...this.#observations.vms()]
        .filter(({ entry }) => entry.app === app)
        .map((observed) => inputOf({ entry: observed.entry, observed })),
    ];
    // Not read yet: these only teach it, there is nothing to decide.
    for (const input of inputs) machine.step(input, nowMs());
    return { machine, timer: null };
  }

  #feed(app: AppName, input: RolloutInput): void {
    const driven = this.#apps.get(app);
    if (driven === undefined || this.#stopping.signal.aborted) return;
    for (const effect of driven.machine.step(input, this.#deps.nowMs())) this.#perform(app, driven, effect);
  }

  #perform(app: AppName, driven: Driven, effect: RolloutEffect): void {
    switch (effect.kind) {
      case "swap":
        this.#track(this.#swap(app, effect));
        return;
      case "schedule":
        this.#arm(app, driven, effect.atMs);
        return;
      case "log":
        this.#deps.logger.info(effect.fields, effect.message);
        return;
      case "changed":
        for (const listener of this.#watchers.get(app) ?? []) listener();
    }
  }

  #track(work: Promise<void>): void {
    const tracked = work.finally(() => this.#running.delete(tracked));
    this.#running.add(tracked);
  }

  async #swap(app: AppName, effect: Extract<RolloutEffect, { kind: "swap" }>): Promise<void> {
    const { register, logger } = this.#deps;
    const { expectedEpoch, next } = effect;
    const standing = await register.swap(app, expectedEpoch, next).then(
      (result) => {
        if (result.code === "committed") return result.committed;
        if (result.code === "conflict") return result.current;
        logger.warn({ app, epoch: expectedEpoch, code: result.code }, "swap did not end");
        return null;
      },
      (error: unknown) => {
        logger.error({ app, epoch: expectedEpoch, error: String(error) }, "swap failed");
        return null;
      },
    );
    this.#learn(standing ?? (await this.#reread(app)));
  }

  /** Until it answers: what became of the swap is only there to be read. Null: we are stopping. */
  async #reread(app: AppName): Promise<CommittedApp | null> {
    const { signal } = this.#stopping;
    for (;;) {
      await delay(REREAD_MS, undefined, { signal }).catch(() => undefined);
      if (signal.aborted) return null;
      try {
        const committed = await this.#deps.register.read(app);
        if (committed !== null) return committed;
      } catch (error) {
        this.#deps.logger.warn({ app, error: String(error) }, "register cannot be read");
      }
    }
  }

  #arm(app: AppName, driven: Driven, atMs: number): void {
    if (driven.timer !== null) clearTimeout(driven.timer);
    const waitMs = Math.min(TIMER_MS_MAX, Math.max(0, Math.ceil(atMs - this.#deps.nowMs())));
    driven.timer = setTimeout(() => {
      driven.timer = null;
      if (this.#deps.nowMs() < atMs) this.#arm(app, driven, atMs);
      else this.#feed(app, { kind: "tick" });
    }, waitMs);
  }

  #onChange(change: EntryChange): void {
    if (isRegistration(change.key)) {
      this.#onMembers();
      return;
    }
    const observation = this.#observations.changeOf(change);
    if (observation !== null) this.#onVm(observation);
  }

  #onVm(observation: VmObservation): void {
    this.#feed(observation.entry.app, inputOf(observation));
  }

  #onMembers(): void {
    this.#inbox.membersChanged();
    for (const observation of this.#observations.refresh()) this.#onVm(observation);
    const proxies = this.#observations.proxies();
    const hosts = this.#observations.hosts(this.#loads());
    for (const app of this.#apps.keys()) {
      this.#feed(app, { kind: "hosts", hosts });
      this.#feed(app, { kind: "proxies", proxies });
    }
  }

  #loads(): ReadonlyMap<MemberName, number> {
    const loads = new Map<MemberName, number>();
    for (const { machine } of this.#apps.values()) {
      for (const { host } of machine.committed?.record.vms ?? []) loads.set(host, (loads.get(host) ?? 0) + 1);
    }
    return loads;
  }
}

function find(apps: readonly CommittedApp[], app: AppName): CommittedApp | null {
  return apps.find(({ record }) => record.app === app) ?? null;
}

function inputOf({ entry, observed }: VmObservation): RolloutInput {
  return { kind: "vm", host: entry.host, vm: entry.vm, observed };
}

function accepted(
  app: AppName,
  { id, to }: { readonly id: string; readonly to: number | null },
): {
  readonly code: "accepted";
  readonly app: AppName;
  readonly rollout: string;
  readonly release: number | null;
} {
  return { code: "accepted", app, rollout: id, release: to };
}

function answerTo(app: AppName, submission: Exclude<Submission, { code: "begin" }>): SubmitResult {
  if (submission.code === "invalid") return submission;
  const { rollout } = submission;
  if (submission.code === "joined") return { ...accepted(app, rollout), joined: true };
  const message = `app ${app}: rollout ${rollout.id} runs, driven by ${rollout.driver}: wait for its end`;
  return { code: "locked", app, rollout: rollout.id, driver: rollout.driver, message };
}
