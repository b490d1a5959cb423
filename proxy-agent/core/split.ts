// Split: which release a request falls to, by the weights of its app; then one of that release's endpoints. Exact on each proxy, without
// a word to any other: a smooth weighted round robin (as nginx spreads over servers) gives each release its share of any run of
// requests to within a request or two, whatever the order of its weights.

import { type AppName, isSameWeights, type ReleaseWeight, type Weights, weightOf } from "../../mesh/index.ts";
import { type Choice, pickEndpoint, rankOfBest } from "./pick-endpoint.ts";
import type { AppRoute, Endpoint } from "./route-table.ts";

/** What one request fell to. It holds for all its tries, by whatever table, as long as the weights are the same. */
export interface Turn {
  readonly weights: Weights;
  readonly release: number;
}

export interface Split {
  /** Undefined: all that may be asked were tried. */
  readonly endpoint: Endpoint | undefined;
  readonly turn: Turn | null;
}

type SplitRoute = Pick<AppRoute, "app" | "endpoints" | "weights">;

export class Splits {
  readonly #random: () => number;
  readonly #byApp = new Map<AppName, Turns>();

  /** `random`: from 0 to below 1. */
  constructor({ random }: Pick<Choice, "random">) {
    this.#random = random;
  }

  /**
   * The next try of a request that fell to `turn`; null: it fell to nothing yet. A release none of whose VMs is as good as the best of
   * another one yields to that; a release of weight 0 gets nothing, whatever becomes of the others.
   */
  pick(route: SplitRoute, turn: Turn | null, choice: Choice): Split {
    const { app, endpoints, weights } = route;
    if (weights === null) return { endpoint: pickEndpoint(endpoints, choice), turn: null };
    const held = turn !== null && isSameWeights(turn.weights, weights) ? turn : null;
    const able = ablest(endpoints, weights, choice);
    if (able.length === 0) return { endpoint: undefined, turn: held };
    const release = this.#releaseFor(held, { app, weights, able });
    const ofRelease = endpoints.filter((endpoint) => endpoint.release === release);
    return { endpoint: pickEndpoint(ofRelease, choice), turn: held ?? { weights, release } };
  }

  /** Another try is no other request: where its release cannot take it, it goes to the one with the most, and nobody's turn is used. */
  #releaseFor(
    held: Turn | null,
    {
      app,
      weights,
      able,
    }: { readonly app: AppName; readonly weights: Weights; readonly able: readonly ReleaseWeight[] },
  ): number {
    if (held === null) return this.#turns(app, weights).next(able);
    const isAble = able.some(({ release }) => release === held.release);
    return isAble ? held.release : mostWeighted(able);
  }

  /** The same ones as long as the weights are the same, through whatever else changes in the table. */
  #turns(app: AppName, weights: Weights): Turns {
    const held = this.#byApp.get(app);
    if (held !== undefined && isSameWeights(held.weights, weights)) return held;
    const turns = new Turns(weights, this.#random());
    this.#byApp.set(app, turns);
    return turns;
  }
}

/** Of the releases that may be asked those whose best endpoint that was not tried is as good as any. */
function ablest(endpoints: readonly Endpoint[], weights: Weights, choice: Choice): readonly ReleaseWeight[] {
  const left = endpoints.filter(({ vm, release }) => !choice.tried.has(vm) && weightOf(weights, release) > 0);
  const best = rankOfBest(left, choice);
  const isAble = ({ release }: ReleaseWeight) =>
    rankOfBest(
      left.filter((endpoint) => endpoint.release === release),
      choice,
    ) === best;
  return left.length === 0 ? [] : weights.filter(({ weight }) => weight > 0).filter(isAble);
}

function mostWeighted(able: readonly ReleaseWeight[]): number {
  const [first, ...others] = able;
  if (first === undefined) throw new Error("split: no release is able");
  return others.reduce((most, one) => (one.weight > most.weight ? one : most), first).release;
}

/**
 * Smooth weighted round robin: each turn every release that takes part gains its weight, and the one with the most pays for all. Who does
 * not take part neither gains nor pays: it is owed nothing when it is back.
 */
export class Turns {
  readonly weights: Weights;
  readonly #credits: Map<number, number>;

  /** `phase`, from 0 to below 1: where in the round it begins, so that many proxies that start at once are not all at the same turn. */
  constructor(weights: Weights, phase: number) {
    this.weights = weights;
    this.#credits = new Map(weights.map(({ release }) => [release, 0]));
    const able = weights.filter(({ weight }) => weight > 0);
    const sum = able.reduce((total, { weight }) => total + weight, 0);
    for (let turn = 0; turn < Math.floor(phase * sum); turn += 1) this.next(able);
  }

  /** The release whose turn it is, of `able`: some of its weights, one at least. */
  next(able: readonly ReleaseWeight[]): number {
    let chosen: number | null = null;
    let sum = 0;
    for (const { release, weight } of able) {
      const credit = this.#credit(release) + weight;
      this.#credits.set(release, credit);
      sum += weight;
      const best = chosen === null ? Number.NEGATIVE_INFINITY : this.#credit(chosen);
      // Of two that have as much the older: whatever order the weights are written in, the turns are the same.
      if (chosen === null || credit > best || (credit === best && release < chosen)) chosen = release;
    }
    if (chosen === null) throw new Error("split: no release takes part");
    this.#credits.set(chosen, this.#credit(chosen) - sum);
    return chosen;
  }

  #credit(release: number): number {
    return this.#credits.get(release) ?? 0;
  }
}
