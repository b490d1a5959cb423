// Probing: whom to ask when, and whom to ask for us (SWIM, section 4). Answers and failures go to the judge.

import {
  DEAD_PROBE_INTERVAL_MS,
  PROBE_INTERVAL_MS,
  PROBE_RELAYS,
  PROBE_TIMEOUT_MS,
  PROBES_PER_INTERVAL,
} from "../limits.ts";
import type { OwnerId } from "./ids.ts";
import { count, type LivenessContext, send, shuffled } from "./liveness-context.ts";
import type { Life } from "./liveness-face.ts";
import type { Judged } from "./liveness-member.ts";
import { type Probe, Probes } from "./probes.ts";

/** A relay answers before its asker gives up: that it has no answer either is news about the asker. */
const RELAY_SHARE = 0.7;

export interface ProbingEvents {
  onAcked(judged: Judged, sentAtMs: number): void;
  /** `isAlone`: we had nobody to ask, though others are there. */
  onFailed(judged: Judged, isAlone: boolean): void;
  /** The life that somebody accuses; null: nobody does. */
  accusedLife(judged: Judged): Life | null;
}

export class Probing {
  readonly #context: LivenessContext;
  readonly #events: ProbingEvents;
  readonly #probes = new Probes();
  #order: OwnerId[] = [];
  #nextDeadProbeAtMs = 0;

  constructor(context: LivenessContext, events: ProbingEvents) {
    this.#context = context;
    this.#events = events;
  }

  /** Under way. */
  get size(): number {
    return this.#probes.size;
  }

  /** A few more of all, in turn; and now and then one that is held dead, in case we are wrong. */
  round(): void {
    for (let probed = 0; probed < PROBES_PER_INTERVAL; probed += 1) {
      const judged = this.#nextInOrder();
      if (judged !== undefined) this.probe(judged);
    }
    this.#probeDead();
  }

  /** Until the next round; jittered, so that members do not fall into step, and longer while we are not well. */
  roundDelayMs(): number {
    const { health, random } = this.#context;
    return PROBE_INTERVAL_MS * (1 + health.value / 4) * (0.9 + 0.2 * random());
  }

  /** One answer, direct or through others, may take this long. */
  timeoutMs(): number {
    return PROBE_TIMEOUT_MS * (1 + this.#context.health.value / 2);
  }

  probe(judged: Judged): void {
    const probe = this.#probes.begin(judged.owner, this.#context.nowMs());
    if (probe === undefined) return;
    judged.probedAtMs = probe.sentAtMs;
    if (judged.isLinked) {
      const accused = this.#events.accusedLife(judged);
      send(this.#context, judged.owner, { kind: "probe", serial: probe.serial, accused });
      this.#await(probe);
    } else {
      this.#askOthers(probe);
    }
  }

  /** Its time ran out. `isLate`: our own event loop was held up meanwhile. */
  due(probe: Probe, isLate: boolean): void {
    const judged = this.#context.members.get(probe.target);
    if (this.#probes.own(probe.serial) !== probe || judged === undefined) return;
    if (isLate && this.#context.isLifeguard) this.#beginAnew(probe, judged);
    else if (probe.stage === "direct") this.#askOthers(probe);
    else this.#fail(probe, judged);
  }

  acked(from: OwnerId, serial: number): void {
    const probe = this.#probes.own(serial);
    if (probe?.target === from) this.#succeed(probe);
    if (this.#probes.relayed(serial)?.target !== from) return;
    const relayed = this.#probes.takeRelayed(serial);
    if (relayed === undefined) return;
    send(this.#context, relayed.asker, {
      kind: "probe-report",
      serial: relayed.askerSerial,
      isAlive: true,
    });
  }

  /** `asker` wants us to probe `target` for it. */
  relay(asker: OwnerId, askerSerial: number, target: OwnerId): void {
    const judged = this.#context.members.get(target);
    const isOurself = target === this.#context.self;
    const isLost = judged?.wasLinked === true && !judged.isLinked;
    if (isOurself || isLost || judged === undefined) {
      send(this.#context, asker, { kind: "probe-report", serial: askerSerial, isAlive: isOurself });
      return;
    }
    const relayed = this.#probes.relay(asker, askerSerial, target);
    if (relayed === undefined) {
      count(this.#context, "probe-requests-dropped");
      return;
    }
    // Without a link we can say no more than that we are here, and that only once the target itself has had its time.
    if (judged.isLinked) {
      const accused = this.#events.accusedLife(judged);
      send(this.#context, target, { kind: "probe", serial: relayed.serial, accused });
    }
    this.#context.schedule({ kind: "relayed", serial: relayed.serial }, RELAY_SHARE * PROBE_TIMEOUT_MS);
  }

  relayedDue(serial: number): void {
    const relayed = this.#probes.takeRelayed(serial);
    if (relayed === undefined || !this.#context.isLifeguard) return;
    const { asker, askerSerial } = relayed;
    send(this.#context, asker, { kind: "probe-report", serial: askerSerial, isAlive: false });
  }

  reported(from: OwnerId, serial: number, isAlive: boolean): void {
    const probe = this.#probes.own(serial);
    if (probe === undefined || !probe.relays.has(from)) return;
    if (isAlive) {
      this.#succeed(probe);
      return;
    }
    probe.nacked.add(from);
    const judged = this.#context.members.get(probe.target);
    if (judged !== undefined && probe.nacked.size === probe.relays.size) this.#fail(probe, judged);
  }

  forget(target: OwnerId): void {
    this.#probes.forget(target);
  }

  #await(probe: Probe): void {
    this.#context.schedule({ kind: "probe", probe }, this.timeoutMs());
  }

  #askOthers(probe: Probe): void {
    probe.stage = "indirect";
    const isFit = ({ state, owner }: Judged) => state === "alive" && owner !== probe.target;
    const others = [...this.#context.linked].filter(isFit);
    for (const { owner } of shuffled(others, this.#context.random).slice(0, PROBE_RELAYS)) {
      probe.relays.add(owner);
      send(this.#context, owner, { kind: "probe-request", serial: probe.serial, target: probe.target });
    }
    this.#await(probe);
  }

  #succeed(probe: Probe): void {
    this.#probes.end(probe);
    this.#context.health.improve();
    const judged = this.#context.members.get(probe.target);
    if (judged !== undefined) this.#events.onAcked(judged, probe.sentAtMs);
  }

  /** Its answer may wait in our own queue: nobody is blamed for our stall. */
  #beginAnew(probe: Probe, judged: Judged): void {
    this.#context.health.worsen();
    this.#probes.end(probe);
    count(this.#context, "probes-voided");
    this.probe(judged);
  }

  #fail(probe: Probe, judged: Judged): void {
    const { relays, nacked } = probe;
    this.#probes.end(probe);
    count(this.#context, "probes-failed");
    if (nacked.size < relays.size) this.#context.health.worsen();
    // Of those that we asked none said a word: it is as likely we who are not heard. It is asked again in the next round.
    if (this.#context.isLifeguard && relays.size > 0 && nacked.size === 0) {
      count(this.#context, "probes-unheard");
      this.#order.push(judged.owner);
    } else {
      this.#events.onFailed(judged, relays.size === 0 && this.#isAnyBut(judged));
    }
  }

  /** There is somebody else who could have been asked, had we a link. */
  #isAnyBut({ state }: Judged): boolean {
    const { alive, suspect } = this.#context.byState;
    const itself = state === "alive" || state === "suspect" ? 1 : 0;
    return alive.size + suspect.size > itself;
  }

  /** Shuffled round-robin (SWIM, section 4.3): everybody is asked once before anybody twice. */
  #nextInOrder(): Judged | undefined {
    const { members, random } = this.#context;
    for (let tries = 0; tries < 2; tries += 1) {
      while (this.#order.length > 0) {
        const owner = this.#order.pop();
        const judged = owner === undefined ? undefined : members.get(owner);
        if (judged !== undefined && this.#isInTurn(judged)) return judged;
      }
      this.#order = shuffled([...members.keys()], random);
    }
    return undefined;
  }

  #probeDead(): void {
    const nowMs = this.#context.nowMs();
    if (nowMs < this.#nextDeadProbeAtMs) return;
    const dead = [...this.#context.byState.dead].filter(({ wasLinked }) => wasLinked);
    const judged = dead[Math.floor(this.#context.random() * dead.length)];
    if (judged === undefined) return;
    this.#nextDeadProbeAtMs = nowMs + DEAD_PROBE_INTERVAL_MS;
    this.probe(judged);
  }

  /** Who is watched is probed each interval anyway. */
  #isInTurn(judged: Judged): boolean {
    const { state, wasLinked } = judged;
    return wasLinked && !this.#context.watched.has(judged) && (state === "alive" || state === "suspect");
  }
}
