// Judging: from accusations to a judgement. A suspect is dead once its time to object is over, if two members at least accuse
// it, it has not answered us meanwhile, and not half of all are lost at once.

import {
  CONFIRMERS,
  LOOK_AROUND_INTERVAL_MS,
  LOOK_AROUND_MEMBERS,
  MASS_DEATH_WINDOW_MS,
  OBJECTION_MS,
  PROBE_INTERVAL_MS,
} from "../limits.ts";
import type { OwnerId } from "./ids.ts";
import { count, type LivenessContext, shuffled } from "./liveness-context.ts";
import type { Accusation, LivenessState } from "./liveness-face.ts";
import { compareLives, type Judged, NEVER_MS, standingAccusations } from "./liveness-member.ts";
import { isMassDeath, suspicionMs } from "./suspicion.ts";

/** So many that found a port closed need no longer patience; in a small cluster all that there are, two at least. */
const CLOSED_ACCUSERS = 3;

export interface JudgingDeps {
  readonly probe: (judged: Judged) => void;
  /** One answer may take this long, milliseconds. */
  readonly timeoutMs: () => number;
}

export class Judging {
  readonly #context: LivenessContext;
  readonly #deps: JudgingDeps;
  #lookedAroundAtMs = NEVER_MS;

  constructor(context: LivenessContext, deps: JudgingDeps) {
    this.#context = context;
    this.#deps = deps;
  }

  /** One observer alone never removes a host. */
  get #accusersMin(): number {
    return this.#context.isLifeguard ? 2 : 1;
  }

  /** Those that count: of its present life, by members that are not dead themselves. */
  standing(judged: Judged): readonly Accusation[] {
    const { members } = this.#context;
    return standingAccusations(judged, (accuser) => {
      const state = members.get(accuser)?.state;
      return state === "alive" || state === "suspect";
    });
  }

  judge(judged: Judged): void {
    if (judged.state === "left" || judged.state === "dead") return;
    const accusations = this.standing(judged);
    if (accusations.length === 0 || this.#isVouched(judged)) {
      this.become(judged, "alive", "");
      return;
    }
    if (judged.state === "alive") this.#suspect(judged, accusations);
    if (accusations.length < this.#accusersMin) return;
    if (judged.secondAtMs === NEVER_MS) judged.secondAtMs = this.#context.nowMs();
    this.#weigh(judged, accusations);
  }

  /** We found it silent or closed ourselves. */
  accuse(judged: Judged): void {
    const reason = judged.isRefused && !judged.isLinked ? "closed" : "silent";
    const { own } = judged;
    if (own?.reason !== reason || compareLives(own.life, judged.life) !== 0) {
      judged.own = { life: judged.life, reason };
      count(this.#context, "accusations");
      this.#context.emit({ kind: "accuse", suspect: judged.owner, accusation: judged.own });
    }
    this.judge(judged);
  }

  /** It answered a probe that was sent then. */
  acked(judged: Judged, sentAtMs: number): void {
    judged.ackSentAtMs = Math.max(judged.ackSentAtMs, sentAtMs);
    if (sentAtMs >= judged.suspectAtMs) this.#takeBack(judged);
    if (judged.state === "dead") this.become(judged, "alive", "");
    this.judge(judged);
  }

  /** A higher life of it is here: all that was said of lower ones is void. */
  acquit(judged: Judged): void {
    this.#takeBack(judged);
    Object.assign(judged, { suspectAtMs: NEVER_MS, secondAtMs: NEVER_MS, ackSentAtMs: NEVER_MS });
  }

  become(judged: Judged, to: LivenessState, why: string): void {
    const { state: from, owner } = judged;
    if (from === to) return;
    this.#context.byState[from].delete(judged);
    this.#context.byState[to].add(judged);
    Object.assign(judged, { state: to, sinceMs: this.#context.nowMs(), why });
    this.#context.emit({ kind: "judged", owner, from, to, why });
    // With it changed whose word counts.
    if (from === "dead" || to === "dead" || to === "left") this.#judgeAccusedBy(owner);
  }

  #takeBack(judged: Judged): void {
    if (judged.own === null) return;
    judged.own = null;
    this.#context.emit({ kind: "accuse", suspect: judged.owner, accusation: null });
  }

  /** It answered us lately, and after the suspicion began: whoever else cannot reach it. */
  #isVouched({ own, ackSentAtMs, suspectAtMs }: Judged): boolean {
    const freshMs = 2 * PROBE_INTERVAL_MS + this.#deps.timeoutMs();
    const isFresh = this.#context.nowMs() - ackSentAtMs <= freshMs;
    return this.#context.isLifeguard && own === null && isFresh && ackSentAtMs >= suspectAtMs;
  }

  #suspect(judged: Judged, accusations: readonly Accusation[]): void {
    const { members, random, nowMs } = this.#context;
    const links = [...members.values()].filter(({ isLinked }) => isLinked).length;
    Object.assign(judged, { suspectAtMs: nowMs(), secondAtMs: NEVER_MS, armedForMs: NEVER_MS });
    judged.isWatched ||= judged.own !== null || (judged.wasLinked && random() * links < CONFIRMERS);
    const isClosed = accusations.some(({ reason }) => reason === "closed");
    this.become(judged, "suspect", isClosed ? "its port is closed" : "it does not answer");
    this.#context.emit({ kind: "doubt", peer: judged.owner });
    if (judged.isWatched) this.#deps.probe(judged);
    this.#lookAround();
  }

  /** Is it one that is lost, or we? A partition is seen as such before the first suspicion is over. */
  #lookAround(): void {
    const { nowMs, isLifeguard, random } = this.#context;
    if (!isLifeguard || nowMs() - this.#lookedAroundAtMs < LOOK_AROUND_INTERVAL_MS) return;
    this.#lookedAroundAtMs = nowMs();
    const linked = [...this.#context.byState.alive].filter(({ isLinked }) => isLinked);
    for (const other of shuffled(linked, random).slice(0, LOOK_AROUND_MEMBERS)) this.#deps.probe(other);
  }

  /** Dead, if it is time; else when to look again. */
  #weigh(judged: Judged, accusations: readonly Accusation[]): void {
    const nowMs = this.#context.nowMs();
    if (this.#isBraked()) {
      this.#brake(judged);
      return;
    }
    const deadAtMs = this.#deadAtMs(judged, accusations);
    if (nowMs < deadAtMs) {
      this.#armFor(judged, deadAtMs);
    } else {
      judged.diedAtMs = nowMs;
      this.become(judged, "dead", `${judged.why}, as ${accusations.length} members found`);
    }
  }

  /** When the brake is lifted its time to object begins anew: until then it was as unheard as we were. */
  #brake(judged: Judged): void {
    const nowMs = this.#context.nowMs();
    Object.assign(judged, { suspectAtMs: nowMs, secondAtMs: nowMs });
    judged.why = "too many are lost at once: it may be we who are cut off";
    count(this.#context, "deaths-braked");
  }

  #deadAtMs(judged: Judged, accusations: readonly Accusation[]): number {
    const { isLifeguard, health } = this.#context;
    const patienceMs = suspicionMs({
      members: this.#context.byState.alive.size + 1,
      accusers: accusations.length,
      isClosed: this.#isClosed(judged, accusations),
      health: health.value,
      isDynamic: isLifeguard,
    });
    const objectionMs = isLifeguard ? judged.secondAtMs + OBJECTION_MS : 0;
    return Math.max(judged.suspectAtMs + patienceMs, objectionMs);
  }

  #armFor(judged: Judged, atMs: number): void {
    const nowMs = this.#context.nowMs();
    if (judged.armedForMs > nowMs && judged.armedForMs <= atMs) return;
    judged.armedForMs = atMs;
    this.#context.schedule({ kind: "suspicion", owner: judged.owner }, atMs - nowMs);
  }

  #isClosed(judged: Judged, accusations: readonly Accusation[]): boolean {
    const closed = accusations.filter(({ reason }) => reason === "closed").length;
    const possible = this.#context.byState.alive.size + 1;
    return !judged.isLinked && closed >= Math.max(this.#accusersMin, Math.min(CLOSED_ACCUSERS, possible));
  }

  #isBraked(): boolean {
    if (!this.#context.isLifeguard) return false;
    const nowMs = this.#context.nowMs();
    const isRecent = ({ diedAtMs }: Judged) => nowMs - diedAtMs < MASS_DEATH_WINDOW_MS;
    const lost = this.#context.byState.suspect.size + [...this.#context.byState.dead].filter(isRecent).length;
    return isMassDeath({ lost, alive: this.#context.byState.alive.size + 1 });
  }

  #judgeAccusedBy(accuser: OwnerId): void {
    for (const judged of this.#context.members.values()) {
      if (judged.accusers.has(accuser)) this.judge(judged);
    }
  }
}
