// Judging: from accusations to a judgement. A suspect is dead once its time to object is over, if two members at least accuse
// it, it has not answered us meanwhile, and not half of all are lost at once.

import {
  ACCUSERS_ENOUGH,
  CONFIRMERS,
  LOOK_AROUND_INTERVAL_MS,
  LOOK_AROUND_MEMBERS,
  MASS_DEATH_WINDOW_MS,
  OBJECTION_MS,
  PROBE_INTERVAL_MS,
} from "../limits.ts";
import type { OwnerId } from "./ids.ts";
import { count, type LivenessContext, shuffled } from "./liveness-context.ts";
import type { LivenessState } from "./liveness-face.ts";
import { compareLives, type Judged, NEVER_MS, type Standing, standingOf } from "./liveness-member.ts";
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
  standing(judged: Judged): Standing {
    return standingOf(judged, this.#context.accusations.of(judged.owner).values());
  }

  judge(judged: Judged): void {
    if (judged.state === "left" || judged.state === "dead") return;
    const standing = this.standing(judged);
    if (standing.accusers === 0 || this.#isVouched(judged)) {
      // An answer is worth something for a second: from now on it is asked each interval.
      if (standing.accusers > 0) this.#context.watched.add(judged);
      this.become(judged, "alive", "");
      return;
    }
    if (judged.state === "alive") this.#suspect(judged, standing);
    if (standing.accusers < this.#accusersMin) return;
    if (judged.secondAtMs === NEVER_MS) judged.secondAtMs = this.#context.nowMs();
    this.#weigh(judged, standing);
  }

  /** We found it silent or closed ourselves. `isAlone`: and had nobody to ask, though others are there. */
  accuse(judged: Judged, { isAlone }: { readonly isAlone: boolean }): void {
    const reason = judged.isRefused && !judged.isLinked ? "closed" : "silent";
    const isNews = judged.own?.reason !== reason || compareLives(judged.own.life, judged.life) !== 0;
    // What enough others say need not be said by all: in a large cluster each death would be a thousand entries.
    const others = standingOf(judged, this.#context.accusations.of(judged.owner).values(), null);
    const isSaid = !judged.isOwnTold && others.accusers >= ACCUSERS_ENOUGH;
    if (isNews) judged.own = { life: judged.life, reason };
    if ((isNews || !judged.isOwnTold) && !isAlone && !isSaid) this.#tell(judged);
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
    const never = { suspectAtMs: NEVER_MS, patienceFromMs: NEVER_MS, secondAtMs: NEVER_MS };
    Object.assign(judged, never, { ackSentAtMs: NEVER_MS });
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

  #tell(judged: Judged): void {
    judged.isOwnTold = true;
    count(this.#context, "accusations");
    this.#context.emit({ kind: "accuse", suspect: judged.owner, accusation: judged.own });
  }

  #takeBack(judged: Judged): void {
    judged.own = null;
    if (!judged.isOwnTold) return;
    judged.isOwnTold = false;
    this.#context.emit({ kind: "accuse", suspect: judged.owner, accusation: null });
  }

  /** It answered us lately, and after the suspicion began: whoever else cannot reach it. */
  #isVouched({ own, ackSentAtMs, suspectAtMs }: Judged): boolean {
    const freshMs = 2 * PROBE_INTERVAL_MS + this.#deps.timeoutMs();
    const isFresh = this.#context.nowMs() - ackSentAtMs <= freshMs;
    return this.#context.isLifeguard && own === null && isFresh && ackSentAtMs >= suspectAtMs;
  }

  #suspect(judged: Judged, { closed }: Standing): void {
    const { watched, linked, random, nowMs } = this.#context;
    const now = { suspectAtMs: nowMs(), patienceFromMs: nowMs() };
    Object.assign(judged, now, { secondAtMs: NEVER_MS, armedForMs: NEVER_MS });
    const isChosen = judged.own !== null || (judged.wasLinked && random() * linked.size < CONFIRMERS);
    if (isChosen) watched.add(judged);
    this.become(judged, "suspect", closed > 0 ? "its port is closed" : "it does not answer");
    this.#context.emit({ kind: "doubt", peer: judged.owner });
    if (watched.has(judged)) this.#deps.probe(judged);
    this.#lookAround();
  }

  /** Is it one that is lost, or we? A partition is seen as such before the first suspicion is over. */
  #lookAround(): void {
    const { nowMs, isLifeguard, random } = this.#context;
    if (!isLifeguard || nowMs() - this.#lookedAroundAtMs < LOOK_AROUND_INTERVAL_MS) return;
    this.#lookedAroundAtMs = nowMs();
    const alive = [...this.#context.linked].filter(({ state }) => state === "alive");
    for (const other of shuffled(alive, random).slice(0, LOOK_AROUND_MEMBERS)) this.#deps.probe(other);
  }

  /** Dead, if it is time; else when to look again. */
  #weigh(judged: Judged, standing: Standing): void {
    const nowMs = this.#context.nowMs();
    if (this.#isBraked()) {
      this.#brake(judged);
      return;
    }
    const deadAtMs = this.#deadAtMs(judged, standing);
    if (nowMs < deadAtMs) {
      this.#armFor(judged, deadAtMs);
    } else {
      judged.diedAtMs = nowMs;
      this.become(judged, "dead", `${judged.why}, as ${standing.accusers} members found`);
    }
  }

  /** When the brake is lifted its time to object begins anew: until then it was as unheard as we were. */
  #brake(judged: Judged): void {
    const nowMs = this.#context.nowMs();
    Object.assign(judged, { patienceFromMs: nowMs, secondAtMs: nowMs });
    judged.why = "too many are lost at once: it may be we who are cut off";
    count(this.#context, "deaths-braked");
  }

  #deadAtMs(judged: Judged, standing: Standing): number {
    const { isLifeguard, health } = this.#context;
    const patienceMs = suspicionMs({
      members: this.#context.byState.alive.size + 1,
      accusers: standing.accusers,
      isClosed: this.#isClosed(judged, standing),
      health: health.value,
      isDynamic: isLifeguard,
    });
    const objectionMs = isLifeguard ? judged.secondAtMs + OBJECTION_MS : 0;
    return Math.max(judged.patienceFromMs + patienceMs, objectionMs);
  }

  #armFor(judged: Judged, atMs: number): void {
    const nowMs = this.#context.nowMs();
    if (judged.armedForMs > nowMs && judged.armedForMs <= atMs) return;
    judged.armedForMs = atMs;
    this.#context.schedule({ kind: "suspicion", owner: judged.owner, isAgain: false }, atMs - nowMs);
  }

  #isClosed(judged: Judged, { closed }: Standing): boolean {
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
    const { members, accusations } = this.#context;
    for (const suspect of [...accusations.by(accuser)]) {
      const judged = members.get(suspect);
      if (judged !== undefined) this.judge(judged);
    }
  }
}
