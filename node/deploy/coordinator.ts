// Coordinator: the shell around the machines, on a voter's agent. It feeds them what the mesh and the register say,
// carries out their effects, and answers the API. It keeps no state: all of it is read again at its start.

import { setTimeout as delay } from "node:timers/promises";
import {
  ACK_TOPIC,
  type AppName,
  type AppRecord,
  type AppSpec,
  appName,
  type CommittedApp,
  type EntryChange,
  type MemberName,
  messageOf,
  NoMajorityError,
  type OwnerId,
  type VmName,
} from "../../mesh/index.ts";
import { AckInbox } from "./ack-inbox.ts";
import type { AppView } from "./app-view.ts";
import type { RecordsDeps, RecordsResult } from "./change-records.ts";
import type { CoordinatorDeps } from "./coordinator-deps.ts";
import type { CommitContext } from "./core/commits.ts";
import { Rollout, type RolloutEffect, type RolloutInput } from "./core/rollout.ts";
import type { RollbackRequest } from "./core/submit-rollback.ts";
import type { ScaleRequest } from "./core/submit-scale.ts";
import type { TrafficRequest } from "./core/submit-traffic.ts";
import type { Deploys, PlanResult, SubmitHow, SubmitResult } from "./deploys.ts";
import { Drains } from "./drains.ts";
import { type ExclusionRequest, excludeProxy } from "./exclude-proxies.ts";
import { type FenceRequest, fenceHost } from "./fence-host.ts";
import { hearTold } from "./hear-told.ts";
import { heldByAll } from "./held-by-all.ts";
import { type HoldRequest, type HoldResult, holdApp } from "./hold-app.ts";
import { inputOf, isRegistration, Observations, type VmObservation } from "./observations.ts";
import { readAllRegisters } from "./read-registers.ts";
import { releaseUnusedNames } from "./release-names.ts";
import { RolloutCounters } from "./rollout-counters.ts";
import { rolloutMetrics } from "./rollout-metrics.ts";
import { storiesOf } from "./stories.ts";
import type { StoriesView } from "./story-view.ts";
import { Submissions } from "./submissions.ts";
import { Watches } from "./watches.ts";

/** One app: its machine and the timer that it asked for. */
interface Driven {
  readonly machine: Rollout;
  timer: NodeJS.Timeout | null;
}

/** After a swap whose outcome is not known: the register is read again after this. Short, since a rollout stands still. */
const REREAD_MS = 250;
/** setTimeout's own bound; a longer wait is taken in several. */
const TIMER_MS_MAX = 2 ** 31 - 1;

export class Coordinator implements Deploys {
  readonly drains: Drains;
  readonly #deps: CoordinatorDeps;
  readonly #observations: Observations;
  readonly #inbox: AckInbox;
  readonly #apps = new Map<AppName, Driven>();
  readonly #watches = new Watches<AppName>();
  readonly #stopping = new AbortController();
  readonly #running = new Set<Promise<void>>();
  readonly #unsubscribe: (() => void)[] = [];
  readonly #submissions: Submissions;
  readonly #counters: RolloutCounters;

  constructor(deps: CoordinatorDeps) {
    this.#deps = deps;
    this.#counters = new RolloutCounters(deps.mesh.self.name);
    this.#observations = new Observations(deps.mesh, deps.wallMs);
    this.#submissions = new Submissions({
      register: deps.register,
      learn: (committed) => this.#learn(committed),
      context: (app) => this.#contextOf(app),
      history: (app) => deps.history.of(app),
      signal: this.#stopping.signal,
    });
    this.drains = this.#newDrains();
    this.#inbox = new AckInbox({
      mesh: deps.mesh,
      nameOf: (owner) => this.#observations.nameOf(owner),
      isDriven: (app) => this.#apps.has(app),
      onAck: (proxy, ack) => this.#feed(ack.app, { kind: "ack", proxy, ack }),
    });
  }

  /** Drives on what runs, as far as this voter knows, and reads behind what a majority knows. Call after the mesh was announced. */
  start(): void {
    const { mesh, register, voters, logger } = this.#deps;
    this.#observations.refresh();
    for (const committed of register.known()) this.#learn(committed);
    this.#unsubscribe.push(
      register.onCommitted((committed) => this.#learn(committed)),
      voters.onAdopted(() => this.#assignCharges()),
      mesh.onChange((change) => this.#onChange(change)),
      mesh.onMembers(() => this.#onMembers()),
    );
    const nameOf = (owner: OwnerId) => this.#observations.nameOf(owner);
    hearTold({ mesh, nameOf, onTold: (app, input) => this.#feed(app, input) });
    mesh.onTell(ACK_TOPIC, (message, from) => this.#inbox.receive(message, from));
    this.#onMembers();
    this.#track(readAllRegisters({ register, logger, signal: this.#stopping.signal }));
  }

  /** Rollouts stand still until a coordinator starts again. Ends all watches. */
  async stop(): Promise<void> {
    this.#stopping.abort();
    for (const unsubscribe of this.#unsubscribe.splice(0)) unsubscribe();
    for (const { timer } of this.#apps.values()) if (timer !== null) clearTimeout(timer);
    await Promise.all([...this.#running, this.#inbox.stop(), this.#deps.history.stop()]);
  }

  #newDrains(): Drains {
    const { mesh, register, voters, logger, wallMs, nowMs } = this.#deps;
    return new Drains({
      register,
      hosts: () => this.#observations.hosts(this.#loads()),
      context: (app) => this.#apps.get(app)?.machine.context(nowMs()) ?? null,
      view: (app) => this.view(app),
      isFirst: () => voters.voting()[0]?.name === mesh.self.name,
      move: (request) => this.#submissions.move(request),
      track: (work) => this.#track(work),
      logger,
      wallMs,
      signal: this.#stopping.signal,
    });
  }

  async submit(spec: AppSpec, how: SubmitHow = {}): Promise<SubmitResult> {
    const result = await this.#submissions.submit(spec, how);
    const machine = result.code === "accepted" ? this.#apps.get(result.app)?.machine : undefined;
    if (machine !== undefined) await heldByAll(machine, (signal) => this.watch(appName(spec.name), signal));
    return result;
  }

  plan(spec: AppSpec): Promise<PlanResult> {
    return this.#submissions.plan(spec);
  }

  stopVm(vm: VmName): Promise<SubmitResult> {
    return this.#submissions.stopVm(vm);
  }

  destroy(app: AppName, removesData = false): Promise<SubmitResult> {
    return this.#submissions.destroy(app, removesData);
  }

  promote(app: AppName): Promise<SubmitResult> {
    return this.#submissions.promote(app);
  }

  abort(app: AppName): Promise<SubmitResult> {
    return this.#submissions.abort(app);
  }

  pause(app: AppName): Promise<SubmitResult> {
    return this.#submissions.pause(app);
  }

  resume(app: AppName): Promise<SubmitResult> {
    return this.#submissions.resume(app);
  }

  setTraffic(request: TrafficRequest): Promise<SubmitResult> {
    return this.#submissions.setTraffic(request);
  }

  rollback(request: RollbackRequest): Promise<SubmitResult> {
    return this.#submissions.rollback(request);
  }

  scale(request: ScaleRequest): Promise<SubmitResult> {
    return this.#submissions.scale(request);
  }

  restart(app: AppName): Promise<SubmitResult> {
    return this.#submissions.restart(app);
  }

  excludeProxy(request: ExclusionRequest): Promise<RecordsResult> {
    return excludeProxy(this.#recordsDeps, request);
  }

  hold(request: HoldRequest): Promise<HoldResult> {
    return holdApp(this.#recordsDeps, request);
  }

  fenceHost(request: FenceRequest): Promise<RecordsResult> {
    const there = [...this.#observations.vms()].filter(({ entry }) => entry.host === request.host);
    return fenceHost(this.#recordsDeps, request, new Set(there.map(({ entry }) => entry.app)));
  }

  get #recordsDeps(): RecordsDeps {
    const { register, wallMs } = this.#deps;
    return { register, wallMs, learn: (committed) => this.#learn(committed) };
  }

  views(): readonly AppView[] {
    const names = [...this.#apps.keys()].sort();
    return names.flatMap((app) => this.view(app) ?? []).filter((view) => !view.deleted);
  }

  view(app: AppName): AppView | null {
    return this.#apps.get(app)?.machine.view(this.#deps.nowMs()) ?? null;
  }

  stories(app: AppName): Promise<StoriesView | null> {
    return storiesOf(this.view(app), this.#deps.history, this.#deps.mesh.self.name);
  }

  /** In Prometheus' text format. */
  metrics(): string {
    return rolloutMetrics(this.views(), this.#counters);
  }

  /** One line for each machine. */
  describe(): readonly string[] {
    return [...this.#apps.values()].map(({ machine }) => machine.describe());
  }

  watch(app: AppName, signal: AbortSignal): AsyncGenerator<AppView> {
    const ended = AbortSignal.any([signal, this.#stopping.signal]);
    return this.#watches.watch(app, () => this.view(app), ended);
  }

  #learn(committed: CommittedApp | null): void {
    if (committed === null) return;
    const { app } = committed.record;
    if (!this.#apps.has(app)) this.#apps.set(app, this.#newDriven(app));
    const before = this.#apps.get(app)?.machine.committed ?? null;
    const isNews = committed.epoch > (before?.epoch ?? 0);
    // What was there at our start is nothing that we brought about, but the very first record of an app.
    if (isNews && (before !== null || committed.epoch === 1))
      this.#counters.committed(before?.record ?? null, committed.record);
    this.#feed(app, { kind: "committed", committed, isInCharge: this.#isInCharge(committed.record) });
    if (!isNews) return;
    this.drains.look();
    this.#deps.history.note(committed);
    this.#releaseNames(app);
  }

  /** The driver of the last rollout, while it is a voter that lives; else the first of those. Two at once would do no harm. */
  #isInCharge({ rollout }: AppRecord): boolean {
    const { mesh, voters } = this.#deps;
    const voting = voters.voting().map(({ name }) => name);
    const driver = rollout !== null && voting.includes(rollout.driver) ? rollout.driver : voting[0];
    return driver === mesh.self.name;
  }

  #assignCharges(): void {
    for (const [app, { machine }] of this.#apps) {
      if (machine.committed === null) continue;
      this.#feed(app, { kind: "charge", isInCharge: this.#isInCharge(machine.committed.record) });
    }
  }

  /** Of names that no rollout needs any more. Of several that do so the first does it. */
  #releaseNames(app: AppName): void {
    const machine = this.#apps.get(app)?.machine;
    if (machine?.committed == null || !machine.isInCharge) return;
    this.#track(releaseUnusedNames(machine.committed, this.#deps));
  }

  /** With who is there now. */
  #contextOf(app: AppName): CommitContext {
    this.#feed(app, { kind: "hosts", hosts: this.#observations.hosts(this.#loads()) });
    const { machine } = this.#apps.get(app) ?? this.#newDriven(app);
    return machine.context(this.#deps.nowMs());
  }

  #newDriven(app: AppName): Driven {
    const { mesh, nowMs, wallMs, repairAfterMs } = this.#deps;
    const options = { app, driver: mesh.self.name, wallOffsetMs: wallMs() - nowMs(), repairAfterMs };
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
        this.#watches.changed(app);
        this.drains.changed();
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
        if (result.code === "unavailable") this.#stalled(app, new NoMajorityError(result.missing));
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
        this.#stalled(app, error);
      }
    }
  }

  /** Who follows the rollout is told: it stands still, and not for any member that a step waits for. */
  #stalled(app: AppName, error: unknown): void {
    this.#feed(app, { kind: "stalled", reason: `cannot commit: ${messageOf(error)}` });
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
    this.#assignCharges();
    this.#inbox.membersChanged();
    for (const observation of this.#observations.refresh()) this.#onVm(observation);
    const proxies = this.#observations.proxies();
    const hosts = this.#observations.hosts(this.#loads());
    for (const app of this.#apps.keys()) {
      this.#feed(app, { kind: "hosts", hosts });
      this.#feed(app, { kind: "proxies", proxies });
    }
    this.drains.membersChanged(hosts);
  }

  #loads(): ReadonlyMap<MemberName, number> {
    const loads = new Map<MemberName, number>();
    for (const { machine } of this.#apps.values()) {
      for (const { host } of machine.committed?.record.vms ?? []) loads.set(host, (loads.get(host) ?? 0) + 1);
    }
    return loads;
  }
}
