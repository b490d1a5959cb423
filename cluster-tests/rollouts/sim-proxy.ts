// Sim proxy: the real table, drain and answers of a proxy, and a client who sends it one request after the other.

import {
  type Ack,
  type CanaryCounts,
  type CommittedApp,
  type Entry,
  type MemberName,
  memberName,
  type VmName,
  type Weights,
} from "../../mesh/index.ts";
import { AckState, type Reached } from "../../proxy-agent/core/ack-state.ts";
import { CanaryCounter, type EndedTry } from "../../proxy-agent/core/canary-counts.ts";
import { Drain } from "../../proxy-agent/core/drain.ts";
import { RouteFold } from "../../proxy-agent/core/route-fold.ts";
import {
  type AppRoute,
  EMPTY_TABLE,
  type Endpoint,
  endpointKey,
  type HoldRoute,
  NOT_HELD,
  type RouteTable,
  reachedEndpoints,
} from "../../proxy-agent/core/route-table.ts";
import { Splits } from "../../proxy-agent/core/split.ts";
import {
  CANARY_TELL_MS,
  HOLD_ASK_FIRST_MS,
  HOLD_ASK_LAST_MS,
  VERIFY_PAUSE_FIRST_MS,
  VERIFY_PAUSE_LAST_MS,
} from "../../proxy-agent/limits.ts";
import type { BreakName } from "./breaks.ts";
import type { RequestDeps } from "./request-deps.ts";
import type { SimDemand } from "./sim-demand.ts";
import { SIM_APP } from "./sim-driver.ts";
import type { SimGate } from "./sim-gate.ts";
import { SimHold } from "./sim-hold.ts";
import type { SimHost } from "./sim-host.ts";
import type { SimRequest } from "./sim-request.ts";
import type { SimTime } from "./sim-time.ts";

/** An entry on its way to this proxy, with who wrote it. */
export interface Heard {
  readonly owner: MemberName;
  readonly entry: Pick<Entry, "key" | "value" | "version">;
}

interface Dial {
  reached: Reached;
  pauseMs: number;
  isDue: boolean;
}

/** Requests of one bake that are counted: of a release that answers errors alone a third of them is proof. */
const COUNTED_MAX = 60;

export class SimProxy {
  readonly name: MemberName;
  registered = true;
  isUp = true;
  /** It hears nobody and nobody hears it; clients, gates and VMs are reached all the same. */
  #isCut = false;
  /** It once was: what it held then may be older than it may get. */
  wasCut = false;
  /** What it says is lost. */
  isMute = false;
  /** On its way to it. */
  readonly inbox: Heard[] = [];
  readonly requests: Set<SimRequest> = new Set();
  hold: SimHold;
  /** Null: it does not look who asks. */
  demand: SimDemand | null = null;
  #newDemand: (proxy: SimProxy) => SimDemand | null = () => null;
  readonly splits: Splits = new Splits({ random: () => 0 });
  readonly #time: SimTime;
  readonly #broken: BreakName | null;
  #fold = new RouteFold();
  #drain = new Drain();
  #counter = new CanaryCounter();
  /** Of the bake in force: what was told last, whether it may be told again by now, and the requests of which something was counted. */
  #countsTold = "";
  #isTellDue = true;
  #starts = 1;
  #counted = 0;
  #acks = new AckState();
  #table: RouteTable = EMPTY_TABLE;
  #dials = new Map<string, Dial>();
  /** The next that it dials; undefined: not looked for yet. */
  #due: Endpoint | null | undefined;
  #committed: CommittedApp | null = null;
  /** What was told to all drivers last, and what it answers now; null: it may be another. */
  #told = "";
  #answer: { readonly ack: Ack; readonly text: string } | null = null;
  #flights = new Map<VmName, Set<SimRequest>>();

  /** Where its requests went last: the gates there know of a hold's end. */
  reached: readonly Endpoint[] = [];
  readonly #catchUp: (proxy: SimProxy) => void;
  #isAsking = false;

  constructor(name: string, { time, broken, catchUp }: Pick<RequestDeps, "time" | "broken" | "catchUp">) {
    this.name = memberName(name);
    this.#broken = broken;
    this.#catchUp = catchUp;
    this.#time = time;
    this.hold = new SimHold(time);
  }

  get isCut(): boolean {
    return this.#isCut;
  }
  set isCut(isCut: boolean) {
    this.#isCut = isCut;
    this.wasCut ||= isCut;
  }
  get table(): RouteTable {
    return this.#table;
  }
  get committed(): CommittedApp | null {
    return this.#committed;
  }
  get epoch(): number {
    return this.#committed?.epoch ?? 0;
  }
  get endpoints(): readonly Endpoint[] {
    return this.#table.apps.get(SIM_APP)?.endpoints ?? [];
  }
  get weights(): Weights | null {
    return this.#table.apps.get(SIM_APP)?.weights ?? null;
  }
  /** It keeps what comes, by the table in force. */
  get isHolding(): boolean {
    return this.#held.by !== null;
  }
  get #held(): HoldRoute {
    if (this.#broken === "hold-ignored") return NOT_HELD;
    return this.#table.apps.get(SIM_APP)?.hold ?? NOT_HELD;
  }
  /** It routes: a client that was answered once is always answered. */
  get isServing(): boolean {
    return this.isUp && this.registered && (this.endpoints.length > 0 || this.isHolding);
  }

  inFlight(vm: VmName): number {
    return this.#drain.inFlight(vm);
  }

  /** All that is on its way, and this record. */
  hear(committed: CommittedApp | null): void {
    for (const { owner, entry } of this.inbox.splice(0)) this.#fold.takeEntry(entry, owner);
    if (committed !== null && committed.epoch > this.epoch) {
      this.#committed = committed;
      this.#fold.takeCommitted(this.#broken === "opening-early" ? withEachOpened(committed) : committed);
      this.#acks.seen(SIM_APP, committed.epoch, this.#time.nowMs);
    }
    this.#adopt(this.#fold.build());
  }

  /** After a refusal the one takes the newer record of the other. True: another try may go better. */
  agreeWith(gate: SimGate, epochTried: number): boolean {
    const { held } = gate;
    if (this.#committed !== null && this.epoch > gate.epoch) gate.take(this.#committed);
    else if (held !== null) this.hear(held);
    return gate.epoch === this.epoch && (this.epoch > epochTried || gate.epoch >= epochTried);
  }

  /** From now on it says who asks for an app that may sleep. */
  watchDemand(newDemand: (proxy: SimProxy) => SimDemand): void {
    this.#newDemand = newDemand;
    this.demand = newDemand(this);
    this.demand.adopt(this.route);
  }

  get route(): AppRoute | null {
    return this.#table.apps.get(SIM_APP) ?? null;
  }

  /** While it keeps some it asks gates and voters whether the hold is over. */
  askForEnd(): void {
    if (this.#isAsking) return;
    this.#isAsking = true;
    this.#askAfter(HOLD_ASK_FIRST_MS);
  }

  #askAfter(pauseMs: number): void {
    const { hold } = this;
    this.#time.after(pauseMs, () => {
      if (this.hold !== hold) return;
      this.#isAsking = this.isHolding && hold.size > 0;
      if (!this.#isAsking) return;
      this.#askAfter(Math.min(2 * pauseMs, HOLD_ASK_LAST_MS));
      this.#catchUp(this);
    });
  }

  /** What this gate has is asked for; it may be older. */
  learnOf({ isUp, held }: SimGate): void {
    if (isUp && held !== null && held.epoch > this.epoch) this.hear(held);
  }

  claim(endpoint: Endpoint, request: SimRequest): void {
    this.#drain.claim(endpoint);
    this.#drain.dispatched(endpoint, this.#time.nowMs);
    this.#flights.set(endpoint.vm, (this.#flights.get(endpoint.vm) ?? new Set()).add(request));
  }

  release(endpoint: Endpoint, request: SimRequest): void {
    this.#flights.get(endpoint.vm)?.delete(request);
    this.#drain.release(endpoint);
    this.#answer = null;
  }

  /** Of VMs that it must have reached before it says so, and a dial of which is due. */
  dialDue(): Endpoint | null {
    if (!this.isUp) return null;
    if (this.#due === undefined) {
      const route = this.#table.apps.get(SIM_APP);
      const isDue = (endpoint: Endpoint) => this.#dialOf(endpoint).isDue;
      this.#due = (route === undefined ? undefined : reachedEndpoints(route).find(isDue)) ?? null;
    }
    return this.#due;
  }

  dial(endpoint: Endpoint, host: SimHost): void {
    const dial = this.#dialOf(endpoint);
    dial.isDue = false;
    this.#due = undefined;
    const reason = this.#whyUnreached(endpoint, host);
    dial.reached = reason === null ? { kind: "yes" } : { kind: "no", reason };
    this.#answer = null;
    if (reason === null) return;
    this.#time.after(dial.pauseMs, () => {
      dial.isDue = true;
      this.#due = undefined;
    });
    dial.pauseMs = Math.min(2 * dial.pauseMs, VERIFY_PAUSE_LAST_MS);
  }

  /** What it has not told yet, or null. */
  news(): Ack | null {
    if (!this.isUp || this.isCut || this.isMute || this.#committed === null) return null;
    this.#answer ??= this.#answerNow();
    return this.#told === this.#answer.text ? null : this.#answer.ack;
  }

  noteTold(): void {
    if (this.#answer !== null) this.#told = this.#answer.text;
  }

  /** A driver that starts again is told anew. */
  forgetTold(): void {
    this.#told = "";
    this.#countsTold = "";
  }

  /** A canary bakes, and its clients go on sending, as clients do: for so long as a bake may need. */
  get isBaking(): boolean {
    return this.isServing && !this.#counter.isIdle && this.#counted < COUNTED_MAX;
  }
  get startId(): string {
    return String(this.#starts);
  }

  count(ended: EndedTry): void {
    this.#counted += 1;
    this.#counter.count(ended);
  }

  /** Of a bake in force what it has not told of it yet; null: nothing, or not yet again. */
  countsNews(): CanaryCounts | null {
    const [counts] = this.#counter.counts();
    if (!this.isUp || this.isCut || this.isMute || !this.#isTellDue || counts === undefined) return null;
    return JSON.stringify(counts) === this.#countsTold ? null : counts;
  }

  noteCountsTold(counts: CanaryCounts): void {
    this.#countsTold = JSON.stringify(counts);
    this.#isTellDue = false;
    this.#time.after(CANARY_TELL_MS, () => {
      this.#isTellDue = true;
    });
  }

  crash(): void {
    this.isUp = false;
    for (const request of this.requests) request.abandon();
    this.requests.clear();
    this.hold.stop();
    this.hold = new SimHold(this.#time);
    this.demand?.stop();
    this.demand = null;
    this.inbox.length = 0;
  }

  /** With what a majority has, and all that the mesh holds. */
  start(committed: CommittedApp | null, entries: readonly Heard[]): void {
    this.isUp = true;
    this.#fold = new RouteFold();
    this.#drain = new Drain();
    this.#counter = new CanaryCounter();
    this.#countsTold = "";
    this.#starts += 1;
    this.#acks = new AckState();
    this.hold = new SimHold(this.#time);
    this.#isAsking = false;
    this.demand = this.#newDemand(this);
    this.reached = [];
    this.#table = EMPTY_TABLE;
    this.#dials = new Map();
    this.#flights = new Map();
    this.#committed = null;
    this.#told = "";
    this.inbox.push(...entries);
    this.hear(committed);
  }

  /** Its clients' requests, and those that wait for another table. */
  #adopt(table: RouteTable): void {
    this.#answer = null;
    this.#due = undefined;
    if (table === this.#table) return;
    this.#table = table;
    if (this.endpoints.length > 0) this.reached = this.endpoints;
    this.#drain.adopt(table, this.#time.nowMs);
    this.#counter.adopt(table);
    if (this.#counter.isIdle) this.#counted = 0;
    for (const { endpoint, deadlineMs } of this.#drain.draining())
      this.#time.at(deadlineMs, () => this.#cutDue(endpoint));
    this.demand?.adopt(this.route);
    this.hold.adopt(this.#held);
    for (const request of this.requests) request.wake();
  }

  #cutDue(endpoint: Endpoint): void {
    const due = this.#drain.draining().filter(({ deadlineMs }) => deadlineMs <= this.#time.nowMs);
    if (!due.some((one) => one.endpoint.vm === endpoint.vm)) return;
    for (const request of [...(this.#flights.get(endpoint.vm) ?? [])]) request.cut();
  }

  #whyUnreached({ vm, isGated }: Endpoint, host: SimHost): string | null {
    const { gate } = host;
    if (!host.isUp) return "timed out";
    if (isGated && !gate.isUp) return "connection refused";
    if (isGated && gate.epoch !== this.epoch) this.agreeWith(gate, this.epoch);
    if (isGated && !gate.isOpenFor(vm)) return "its gate refused";
    return host.vms.get(vm)?.entry.state === "running" ? null : "connection refused";
  }

  #dialOf(endpoint: Endpoint): Dial {
    const key = endpointKey(endpoint);
    const known = this.#dials.get(key);
    if (known !== undefined) return known;
    const dial: Dial = { reached: { kind: "not-yet" }, pauseMs: VERIFY_PAUSE_FIRST_MS, isDue: true };
    this.#dials.set(key, dial);
    return dial;
  }

  #answerNow(): { readonly ack: Ack; readonly text: string } {
    const route = this.#table.apps.get(SIM_APP);
    const reached = (endpoint: Endpoint) => this.#dialOf(endpoint).reached;
    if (route !== undefined) this.#acks.settle(route, { reached, nowMs: this.#time.nowMs });
    const ack = this.#acks.ack(SIM_APP, this.#drain.report(SIM_APP));
    const { applied, verified, nack, inFlight, cut } = ack;
    return { ack, text: JSON.stringify([applied, verified, nack, inFlight, cut]) };
  }
}

/** As if what is opening served by now. */
function withEachOpened(committed: CommittedApp): CommittedApp {
  const { hold, ...record } = committed.record;
  if (hold === undefined || !record.vms.some(({ phase }) => phase === "opening")) return committed;
  const vms = record.vms.map((vm) => (vm.phase === "opening" ? { ...vm, phase: "serving" as const } : vm));
  return { ...committed, record: { ...record, vms } };
}
