// Fake agent: the ports of the API for tests: deploys that are told what to answer, bundles in memory, a folder of logs.

import { createHash } from "node:crypto";
import { pino } from "pino";
import {
  type AppName,
  type AppSpec,
  appName,
  type BundleHash,
  bundleHash,
  type EnvRef,
  encodeRecord,
  envHash,
  fail,
  type HostEntry,
  hostKey,
  type MemberName,
  type Mesh,
  memberName,
  ok,
  Registers,
  type VmEntry,
  type VmName,
  vmKey,
  vmName,
} from "../../../mesh/index.ts";
import { STAND_IN_CLUSTER, StandInVoter } from "../../../mesh/sim/stand-in-voter.ts";
import type { AppSubmission } from "../../config/app-file.ts";
import { CustomEntries } from "../../custom-entries.ts";
import type { CustomFile } from "../../custom-file.ts";
import type { AppView, RolloutView } from "../../deploy/app-view.ts";
import type { RecordsResult } from "../../deploy/change-records.ts";
import type { RollbackRequest } from "../../deploy/core/submit-rollback.ts";
import type { ScaleRequest } from "../../deploy/core/submit-scale.ts";
import type { TrafficRequest } from "../../deploy/core/submit-traffic.ts";
import type { Deploys, PlanResult, SubmitHow, SubmitResult } from "../../deploy/deploys.ts";
import type { ExclusionRequest } from "../../deploy/exclude-proxies.ts";
import type { FenceRequest } from "../../deploy/fence-host.ts";
import type { HoldRequest, HoldResult } from "../../deploy/hold-app.ts";
import type { StoriesView } from "../../deploy/story-view.ts";
import type { HostUse } from "../../host-cordon.ts";
import { QUERY_ENGINE_DEFAULTS, QueryEngine } from "../../query/query-engine.ts";
import type { ContentPut } from "../../releases/content-store.ts";
import type { EnvValues } from "../../releases/env-blob.ts";
import type { ApiBundles, ApiDeps, ApiEnvs } from "../ports.ts";
import { FakeDrains } from "./fake-drains.ts";

const silent = pino({ level: "silent" });
const HELLO: AppName = appName("hello");
const FAKE_BUNDLE_BYTES_MAX = 100_000;

export function fakeView(changes: Partial<AppView> = {}): AppView {
  return {
    app: HELLO,
    epoch: 1,
    deleted: false,
    release: "v1",
    weights: { v1: 100 },
    hostnames: ["hello.localhost"],
    rollout: null,
    vms: [],
    proxies: [],
    leftovers: [],
    ...changes,
  };
}

export function fakeRollout(changes: Partial<RolloutView> = {}): RolloutView {
  return {
    id: "hello-v2",
    kind: "deploy",
    from: 1,
    to: 2,
    state: "running",
    direction: "forward",
    driver: memberName("host-1"),
    step: null,
    history: [],
    reason: null,
    startedAtMs: 1_000,
    endedAtMs: null,
    ...changes,
  };
}

/** Answers each submission with `answer`, and shows to watchers what `show` is given. */
export class FakeDeploys implements Deploys {
  readonly submitted: AppSpec[] = [];
  /** The names of those, in the same order. */
  readonly submissions: (string | undefined)[] = [];
  readonly #shown = new Map<AppName, AppView>();
  readonly #watchers = new Set<() => void>();
  readonly #onWatch: (() => void)[] = [];
  /** Of a submission, in place of `answer`. */
  answerTo: ((spec: AppSpec, how: SubmitHow) => SubmitResult) | null = null;
  answer: SubmitResult = { code: "accepted", app: HELLO, rollout: "hello-v2", release: 2, joined: false };

  get watchers(): number {
    return this.#watchers.size;
  }

  /** Resolves when someone watches. */
  async whenWatched(): Promise<void> {
    if (this.#watchers.size === 0) await new Promise<void>((resolve) => this.#onWatch.push(resolve));
  }

  show(view: AppView): void {
    this.#shown.set(view.app, view);
    for (const wake of this.#watchers) wake();
  }

  readonly drains: FakeDrains = new FakeDrains();

  async submit(spec: AppSpec, how: SubmitHow = {}): Promise<SubmitResult> {
    this.submitted.push(spec);
    this.submissions.push(how.submission);
    return this.answerTo?.(spec, how) ?? this.answer;
  }

  readonly planned: AppSpec[] = [];
  /** What `plan` answers. */
  planAnswer: PlanResult = { code: "invalid", message: "no plan was given to the fake" };

  async plan(spec: AppSpec): Promise<PlanResult> {
    this.planned.push(spec);
    return this.planAnswer;
  }

  /** What `stories` answers, by app. */
  readonly told: Map<AppName, StoriesView> = new Map();

  async stories(app: AppName): Promise<StoriesView | null> {
    return this.told.get(app) ?? null;
  }

  async stopVm(_vm: VmName): Promise<SubmitResult> {
    return this.answer;
  }

  async excludeProxy(_request: ExclusionRequest): Promise<RecordsResult> {
    return { code: "done", apps: [HELLO] };
  }

  holdAnswer: HoldResult = { code: "unknown" };

  async hold(_request: HoldRequest): Promise<HoldResult> {
    return this.holdAnswer;
  }

  readonly fenced: FenceRequest[] = [];

  async fenceHost(request: FenceRequest): Promise<RecordsResult> {
    this.fenced.push(request);
    return { code: "done", apps: [HELLO] };
  }

  async promote(_app: AppName): Promise<SubmitResult> {
    return this.answer;
  }

  async abort(_app: AppName): Promise<SubmitResult> {
    return this.answer;
  }

  async pause(_app: AppName): Promise<SubmitResult> {
    return this.answer;
  }

  async resume(_app: AppName): Promise<SubmitResult> {
    return this.answer;
  }

  readonly asked: (TrafficRequest | RollbackRequest | ScaleRequest)[] = [];

  async setTraffic(request: TrafficRequest): Promise<SubmitResult> {
    this.asked.push(request);
    return this.answer;
  }

  async rollback(request: RollbackRequest): Promise<SubmitResult> {
    this.asked.push(request);
    return this.answer;
  }

  async scale(request: ScaleRequest): Promise<SubmitResult> {
    this.asked.push(request);
    return this.answer;
  }

  async restart(_app: AppName): Promise<SubmitResult> {
    return this.answer;
  }

  async destroy(_app: AppName): Promise<SubmitResult> {
    return this.answer;
  }

  views(): readonly AppView[] {
    return [...this.#shown.values()].filter((view) => !view.deleted);
  }

  view(app: AppName): AppView | null {
    return this.#shown.get(app) ?? null;
  }

  async *watch(app: AppName, signal: AbortSignal): AsyncGenerator<AppView> {
    let changed = Promise.withResolvers<void>();
    const wake = () => changed.resolve();
    this.#watchers.add(wake);
    for (const tell of this.#onWatch.splice(0)) tell();
    signal.addEventListener("abort", wake);
    try {
      while (!signal.aborted) {
        changed = Promise.withResolvers();
        const view = this.view(app);
        if (view !== null) yield view;
        await changed.promise;
      }
    } finally {
      this.#watchers.delete(wake);
    }
  }
}

class FakeBundles implements ApiBundles {
  readonly held: Map<BundleHash, Uint8Array> = new Map();

  async touch(hash: BundleHash): Promise<boolean> {
    return this.held.has(hash);
  }

  async put(hash: BundleHash, chunks: AsyncIterable<Uint8Array>): Promise<ContentPut> {
    const parts: Uint8Array[] = [];
    let bytes = 0;
    for await (const chunk of chunks) {
      bytes += chunk.byteLength;
      if (bytes > FAKE_BUNDLE_BYTES_MAX) return { code: "too-large", message: "at most 100000 bytes" };
      parts.push(chunk);
    }
    const content = Uint8Array.from(Buffer.concat(parts));
    if (hashOf(content) !== hash) return { code: "mismatch", message: "its bytes have another hash" };
    this.held.set(hash, content);
    return { code: "stored" };
  }
}

/** Each that is put aside gets the same hash, but for `next`. */
class FakeEnvs implements ApiEnvs {
  readonly sealed: EnvValues[] = [];
  next: EnvRef = FAKE_ENV;
  /** What `isSame` answers. */
  same: boolean | null = null;

  async seal(values: EnvValues): ReturnType<ApiEnvs["seal"]> {
    this.sealed.push(values);
    return ok(Object.keys(values).length === 0 ? undefined : this.next);
  }
  async isSame(): Promise<boolean | null> {
    return this.same;
  }
}

export function hashOf(content: Uint8Array): BundleHash {
  return bundleHash(createHash("sha256").update(content).digest("hex"));
}

/** In memory; fails while `failure` is set. */
export class FakeCustomFile implements CustomFile {
  content: Uint8Array | undefined;
  failure: Error | null = null;
  writes = 0;

  async read(): Promise<Uint8Array | undefined> {
    return this.content;
  }
  async write(bytes: Uint8Array): Promise<void> {
    if (this.failure !== null) throw this.failure;
    this.writes += 1;
    this.content = bytes;
  }
  async setAside(): Promise<string> {
    this.content = undefined;
    return "aside";
  }
}

export interface FakeAgent {
  readonly deps: ApiDeps;
  /** The real thing; to be stopped by whoever queried. */
  readonly queries: QueryEngine;
  readonly bundles: FakeBundles;
  readonly envs: FakeEnvs;
  /** Output files by VM. */
  readonly logFiles: Map<VmName, string>;
  /** What a person said of this host. */
  readonly uses: readonly HostUse[];
}

/** The ports of an agent that joined as `mesh`; it drives if it has `deploys`: then it is the voter. */
export function fakeAgent(mesh: Mesh, deploys: FakeDeploys | null): FakeAgent {
  const bundles = new FakeBundles();
  const envs = new FakeEnvs();
  const logFiles = new Map<VmName, string>();
  const uses: HostUse[] = [];
  const self = fakeHostEntry(mesh.self.name, deploys !== null);
  mesh.write(hostKey(mesh.self.name), encodeRecord(self));
  if (deploys !== null) new StandInVoter(mesh).publishList();
  const log = { info: () => undefined, error: () => undefined };
  const registers = new Registers({ cluster: STAND_IN_CLUSTER }, { mesh, logger: silent });
  registers.start();
  const apps = () => registers.apps.all();
  const queries = new QueryEngine(QUERY_ENGINE_DEFAULTS, { mesh, apps, log });
  const deps: ApiDeps = {
    setUse: async (use) => void uses.push(use),
    mesh,
    self,
    queries,
    registers,
    voting: NO_VOTING,
    deploys: () => deploys,
    bundles,
    envs,
    fetchBundle: async (hash) => (bundles.held.has(hash) ? ok(null) : fail(`no member has ${hash}`)),
    vms: { logFile: (vm) => logFiles.get(vm) ?? null },
    metrics: () => "grapevine_test_total 1",
    config: { name: mesh.self.name },
    recentLog: () => '{"msg":"agent is ready"}\n',
    entries: new CustomEntries({ mesh, file: new FakeCustomFile(), logger: log, nowMs: () => 0 }),
    log,
  };
  return { deps, queries, bundles, envs, logFiles, uses };
}

/** Nobody asks these agents for a seat. */
const NO_VOTING: ApiDeps["voting"] = {
  register: null,
  seatsOf: async () => fail("a fake agent has no seat"),
  planFirst: async () => fail("a fake agent plans nothing"),
  planRestored: async () => fail("a fake agent plans nothing"),
  install: async () => fail("a fake agent installs nothing"),
  changeVoters: async () => fail("a fake agent is no voter"),
  restore: async () => fail("a fake agent is no voter"),
  collect: async () => ({ asked: [], silent: [] }),
};

function fakeHostEntry(host: MemberName, voter: boolean): HostEntry {
  const api = `http://127.0.0.1/${host}`;
  return { format: 1, host, region: "default", labels: {}, api, pid: process.pid, voter };
}

export function fakeVmEntry(name: string, host: MemberName): VmEntry {
  return {
    format: 1,
    vm: vmName(name),
    app: HELLO,
    release: 1,
    host,
    state: "running",
    health: "healthy",
    address: { host: "127.0.0.1", port: 20_000 },
    exit: null,
    reason: null,
    lastLines: [],
    restarts: 0,
    startedAtMs: 1,
    healthyAtMs: 2,
  };
}

export function writeVm(mesh: Mesh, entry: VmEntry): void {
  mesh.write(vmKey(entry.vm), encodeRecord(entry));
}

export const FAKE_ENV: EnvRef = { hash: envHash("e".repeat(64)), host: memberName("host-1") };

/** As a record has it. */
export function fakeSealedSpec(bundle: Uint8Array, changes: Partial<AppSpec> = {}): AppSpec {
  const { env: _values, ...spec } = fakeSpec(bundle);
  return { ...spec, env: FAKE_ENV, ...changes };
}

/** As it is submitted. */
export function fakeSpec(bundle: Uint8Array, changes: Partial<AppSubmission> = {}): AppSubmission {
  return {
    name: "hello",
    hostnames: ["hello.localhost"],
    count: 1,
    command: ["node", "server.js"],
    env: { GREETING: "hi" },
    checks: [],
    stop: { signal: "SIGTERM", timeoutMs: 10_000 },
    deploy: { strategy: "rolling", drainTimeoutMs: 30_000, waitTimeoutMs: 300_000 },
    bundle: { hash: hashOf(bundle), bytes: bundle.byteLength },
    ...changes,
  };
}
