// Sim client: somebody who asks one thing after the other, through whatever proxy, and shows what it was told to keep, as browsers do.
// `no-going-back` is judged at each answer, and `pinned` (sim-page.ts).

import assert from "node:assert/strict";
import { type AppRecord, type CommittedApp, clientsRelease, isUnderWay } from "../../mesh/index.ts";
import {
  type ClientCookie,
  pageOf,
  readClientCookies,
  setClientCookie,
  stickyClient,
} from "../../proxy-agent/core/client-cookies.ts";
import { type Choice, pickEndpoint } from "../../proxy-agent/core/pick-endpoint.ts";
import type { AppRoute, Endpoint } from "../../proxy-agent/core/route-table.ts";
import { PLACES, pickSticky, rankIn } from "../../proxy-agent/core/sticky.ts";
import { CookieJar } from "../harness/cookie-jar.ts";
import type { BreakName } from "./breaks.ts";
import { SimPage } from "./sim-page.ts";

/** Odd and more than there are proxies: each client comes by each of them. */
const CLIENTS = 7;

/** What a client saw, and by which record. */
interface Seen {
  readonly release: number;
  readonly epoch: number;
}

export class SimClient {
  readonly #number: number;
  readonly #clients: SimClients;
  #jar = new CookieJar();
  readonly #page: SimPage;
  #seen: Seen | null = null;
  isBusy = false;

  constructor(number: number, clients: SimClients) {
    this.#number = number;
    this.#clients = clients;
    this.#page = new SimPage(number);
  }

  /** It asks for something. What it keeps of a page lasts as long as it was told. */
  begin(nowMs: number): void {
    this.isBusy = true;
    this.#page.begin();
    if (this.#page.isOver(nowMs)) this.#jar = new CookieJar();
  }

  /** While it shows none: all of them are spread over the places. */
  get #ownPlace(): number {
    return Math.floor((PLACES * (this.#number + 0.5)) / CLIENTS);
  }

  /** It shows that a newer record is in force than this route is of. */
  isBehind({ app, epoch }: AppRoute): boolean {
    if (this.#jar.isEmpty || this.#clients.broken === "sticky-catch-up") return false;
    return this.#shown(app).some((cookie) => cookie.epoch > epoch);
  }

  /** Null: nobody promised it anything. */
  pick(
    { app, clients, endpoints }: AppRoute,
    choice: Choice,
  ): { readonly endpoint: Endpoint | undefined } | null {
    if (clients?.mode === "pinned") return this.#pickPinned(app, [...endpoints, ...clients.kept], choice);
    if (clients === null) return null;
    const client = stickyClient(this.#shown(app), clients, this.#ownPlace);
    const isForgetful = this.#clients.broken === "sticky-floor";
    return {
      endpoint: pickSticky({ clients, endpoints }, isForgetful ? { ...client, floor: null } : client, choice),
    };
  }

  #pickPinned(
    app: AppRoute["app"],
    endpoints: readonly Endpoint[],
    choice: Choice,
  ): { readonly endpoint: Endpoint } | null {
    if (this.#page.isPage || this.#clients.broken === "pin-ignored") return null;
    const page = pageOf(this.#shown(app));
    const endpoint = pickEndpoint(
      endpoints.filter(({ release }) => release === page?.release),
      choice,
    );
    return endpoint === undefined ? null : { endpoint };
  }

  /** What it saw keeps it from no VM of this release. */
  mayGoTo({ app, clients }: AppRoute, release: number): boolean {
    if (clients?.mode !== "sticky") return true;
    const { floor } = stickyClient(this.#shown(app), clients, 0);
    return floor === null || rankIn(clients, release) >= rankIn(clients, floor);
  }

  answered(
    { app, epoch, clients }: AppRoute,
    { release, vm }: Pick<Endpoint, "release" | "vm">,
    { sentAtMs, nowMs }: { readonly sentAtMs: number; readonly nowMs: number },
  ): void {
    const who = `client ${this.#number} is answered by ${vm}`;
    this.#clients.judge(this.#seen, { release, epoch }, who);
    this.#seen = { release, epoch };
    const maxAgeMs = clients?.mode === "pinned" ? clients.maxAgeMs : null;
    if (!this.#page.isPage) {
      this.#page.loaded({ release, epoch, sentAtMs }, who, this.#clients.isUnpinned);
    } else {
      this.#page.opened(maxAgeMs, { release, epoch, nowMs });
      const page = { app, epoch, release, sticky: null };
      if (maxAgeMs !== null) this.#jar.take(setClientCookie(page, this.#shown(app), maxAgeMs));
    }
    if (clients?.mode !== "sticky") return;
    const before = this.#shown(app);
    const { place } = stickyClient(before, clients, this.#ownPlace);
    this.#jar.take(
      setClientCookie({ app, epoch, release, sticky: { backs: clients.backs, place } }, before, 0),
    );
  }

  #shown(app: AppRoute["app"]): readonly ClientCookie[] {
    if (this.#jar.isEmpty) return [];
    return readClientCookies(["Cookie", this.#jar.header], app);
  }
}

/** All of them, and what their app went back from. */
export class SimClients {
  readonly broken: BreakName | null;
  readonly #all: SimClient[] = Array.from({ length: CLIENTS }, (_, number) => new SimClient(number, this));
  /** Epochs from which on somebody may be sent back. */
  readonly #backs: number[] = [];
  /** Of epochs at which a rollout was on its way back: which. */
  readonly #goingBack = new Map<number, string>();
  readonly #isHarmed: () => boolean;
  /** Epochs at which another rollout began. */
  readonly #begun: number[] = [];
  #isSticky = false;
  #turn = 0;

  constructor(broken: BreakName | null, isHarmed: () => boolean) {
    this.broken = broken;
    this.#isHarmed = isHarmed;
  }

  /** Of a page of the one epoch its VMs may be gone at the other: something broke, the rollout went back, or the next one began. */
  readonly isUnpinned = (from: number, to: number): boolean => {
    const changes = [...this.#begun, ...this.#backs, ...this.#goingBack.keys()];
    return this.#isHarmed() || changes.some((epoch) => from < epoch && epoch <= to);
  };

  /** The next who waits for nothing. */
  next(): SimClient {
    const waiting = this.#all.filter(({ isBusy }) => !isBusy);
    this.#turn += 1;
    const client = waiting[this.#turn % waiting.length] ?? new SimClient(this.#all.length % CLIENTS, this);
    if (waiting.length === 0) this.#all.push(client);
    return client;
  }

  noteCommit(before: AppRecord | null, { epoch, record }: CommittedApp): void {
    this.#isSticky = clientsRelease(record)?.spec.deploy.cutover === "sticky";
    const { rollout } = record;
    if (rollout?.kind === "deploy" && rollout.id !== before?.rollout?.id) this.#begun.push(epoch);
    const isOlder = rollout?.to != null && rollout.from !== null && rollout.to < rollout.from;
    // A way back that is itself gone back from leads to the newer one.
    const isBack = rollout?.kind === "deploy" && (rollout.direction === "back") !== isOlder;
    if (isBack && isUnderWay(rollout)) this.#goingBack.set(epoch, rollout.id);
    if ((record.backs ?? 0) > (before?.backs ?? 0)) this.#backs.push(epoch);
  }

  /** Who got the newer one while a rollout goes back is sent back when that ends, too. Whoever got the older one while a rollout goes back to it stays there, too. */
  judge(seen: Seen | null, now: Seen, who: string): void {
    if (!this.#isSticky || seen === null || now.release === seen.release) return;
    const [wayThen, way] = [this.#goingBack.get(seen.epoch), this.#goingBack.get(now.epoch)];
    const isBetween = (epoch: number) => seen.epoch < epoch && epoch <= now.epoch;
    const isOnWay = way !== undefined || wayThen !== undefined;
    const isBack = [...this.#backs, ...this.#goingBack.keys()].some(isBetween) || isOnWay;
    const isMeant = now.release > seen.release ? way === undefined || way !== wayThen : isBack;
    assert.ok(
      isMeant,
      `no-going-back: ${who}, of v${now.release} at epoch ${now.epoch}, after v${seen.release} at epoch ${seen.epoch}`,
    );
  }
}
