// Model: a state of the whole (desks, seats, messages, what was observed) as a few numbers, and every move from it. A message stays in
// the network: that it is lost is that it is never delivered, that it is doubled is that it is delivered again.

import { showRegisters } from "../../register/settle.ts";
import { idOf, listOf } from "../../register/testing/voters.ts";
import { type DeskSteps, localEdges } from "./acts.ts";
import type { BreakName } from "./breaks.ts";
import { Consequences } from "./consequences.ts";
import { type DeskRules, type Ended, mayBegin } from "./desk.ts";
import { beginOperation, giveUp, hear, hearRegisters, learn, restart, ring, settle } from "./desk-steps.ts";
import { plannedOperation } from "./desk-tasks.ts";
import { Fingerprint } from "./fingerprint.ts";
import { recordText } from "./keys.ts";
import { Layout, type State } from "./layout.ts";
import type { Move } from "./move.ts";
import { type DeskEdge, Parts, type SeatEdge } from "./parts.ts";
import { prologueOf } from "./prologue.ts";
import { lettersOf, type Scenario, voterClasses } from "./scenario.ts";
import { adopt, ask, crashSeat, loseDisk, type SeatRules, syncSeat } from "./seat.ts";

export interface Outgoing {
  readonly move: Move;
  /** The operation that ended with it. */
  readonly ended: Ended | null;
  /** What is wrong in the next state. */
  readonly violation: string | null;
}

/** `next` is changed after the call. */
export type Emit = (next: State, outgoing: Outgoing) => void;

export interface ModelOptions {
  readonly broken?: ReadonlySet<BreakName>;
  /**
   * Each answer is heard in a move of its own, nothing is left out and no voters are alike: many more states of which no more comes.
   * For a test of that. Default false.
   */
  readonly isLiteral?: boolean;
}

export class Model {
  readonly scenario: Scenario;
  readonly letters: readonly string[];
  readonly proposers: readonly string[];
  readonly parts: Parts;
  readonly layout: Layout;
  /** Moves that were not made, for want of ballots. */
  cuts = 0;
  readonly #broken: ReadonlySet<BreakName>;
  readonly #isLiteral: boolean;
  readonly #deskRules: readonly DeskRules[];
  readonly #seatRules: readonly SeatRules[];
  readonly #classes: readonly number[];
  readonly #consequences: Consequences;
  readonly #fingerprint: Fingerprint;
  readonly #next: State;
  /** After an operation was given up. */
  readonly #given: State;
  readonly #deskSteps: readonly DeskSteps[];
  #emit: Emit = () => {};

  constructor(scenario: Scenario, { broken = new Set(), isLiteral = false }: ModelOptions = {}) {
    this.scenario = scenario;
    this.#broken = broken;
    this.#isLiteral = isLiteral;
    this.letters = lettersOf(scenario);
    this.proposers = Object.keys(scenario.tasks);
    this.parts = new Parts({
      voters: this.letters.map(idOf),
      proposers: this.proposers,
      ask: (voter, seat, asked) => ask(seat, asked, this.#rulesOfSeat(voter)),
    });
    this.layout = new Layout(this.proposers.length, this.letters.length);
    const { tasks, attempts, restarts: restartsMax } = scenario;
    this.#deskRules = this.proposers.map((letter) => ({
      voter: idOf(letter),
      tasks: tasks[letter] ?? [],
      attemptsMax: attempts[letter] ?? 1,
      restartsMax,
      broken,
    }));
    this.#seatRules = this.letters.map((letter) => ({
      ...seatRulesOf(scenario, letter, broken),
      formerList: (number) => this.parts.listOfNumber(number),
    }));
    this.#classes = isLiteral ? [...this.letters.keys()] : voterClasses(scenario);
    this.#consequences = new Consequences(this.parts, this.layout, {
      scenario,
      broken,
      isLiteral,
      mayBegin: (at, id) => mayBegin(this.parts.desk(id).desk, this.#rulesOfDesk(at)),
    });
    this.#fingerprint = new Fingerprint(this.letters.length);
    this.#next = this.layout.newState();
    this.#given = this.layout.newState();
    this.#deskSteps = this.#deskRules.map((rules) => ({
      ring: (desk) => ring(desk, rules),
      hear: (desk, seat, reply) => hear(desk, this.parts.voters[seat] ?? rules.voter, reply, rules),
    }));
  }

  first(): State {
    const { layout, parts } = this;
    const state = layout.newState();
    const { voters, committedBy = "", rounds = {} } = this.scenario;
    const list = listOf(voters);
    parts.listId(list);
    const before = prologueOf(this.proposers, { list, committedBy, rounds });
    for (const [desk, letter] of this.proposers.entries()) state[desk] = parts.deskId(before.deskOf(letter));
    for (const [seat, letter] of this.letters.entries())
      state[layout.seatAt(seat)] = parts.seatId(before.seatOf(letter));
    for (let at = layout.repliesAt(0, 0); at <= layout.formerAt; at += 1) state[at] = parts.sets.empty;
    state[layout.observedAt] = parts.observedId(before.observed);
    return state;
  }

  /** Puts the state's 64 bits into `high` and `low` of what it returns. */
  fingerprint(state: State): Fingerprint {
    const { layout, parts } = this;
    const print = this.#fingerprint;
    for (let seat = 0; seat < layout.seats; seat += 1) {
      print.begin();
      print.add(this.#classes[seat] ?? 0);
      print.add(state[layout.seatAt(seat)] ?? 0);
      for (let desk = 0; desk < layout.desks; desk += 1) {
        print.add(parts.desk(state[desk] ?? 0).columns[seat] ?? 0);
        print.add(state[layout.repliesAt(seat, desk)] ?? 0);
      }
      print.endColumn(seat);
    }
    print.begin();
    for (let desk = 0; desk < layout.desks; desk += 1) print.add(parts.desk(state[desk] ?? 0).shared);
    for (let at = layout.formerAt; at < layout.width; at += 1) print.add(state[at] ?? 0);
    print.addColumns();
    print.end();
    return print;
  }

  successors(state: State, emit: Emit): void {
    this.#emit = emit;
    for (let desk = 0; desk < this.layout.desks; desk += 1) this.#moveDesk(state, desk);
    for (let seat = 0; seat < this.layout.seats; seat += 1) this.#moveSeat(state, seat);
    for (const list of this.#consequences.listsInForce(state)) this.#spreadList(state, list);
  }

  // --- proposers

  #moveDesk(state: State, at: number): void {
    const { parts } = this;
    const rules = this.#rulesOfDesk(at);
    const id = state[at] ?? 0;
    const { desk } = parts.desk(id);
    this.#begin(state, at, null);
    const gaveUp = parts.aloneEdge(id, "give-up", (running) => giveUp(running, rules));
    this.#giveUp(state, at, gaveUp);
    const restarted = parts.aloneEdge(id, "restart", (running) => restart(running, rules));
    this.#takeDesk(state, restarted, { kind: "restart", desk: at });
    const settling = parts.aloneEdge(id, "settle", (idle) => settle(idle, rules));
    this.#takeDesk(state, settling, { kind: "settle", desk: at });
    if (desk.running !== null) this.#act(state, at);
    else if (desk.settling !== null) this.#askRegisters(state, at);
  }

  /** `gaveUp`: by which the operation before ended, in the same move. */
  #begin(state: State, at: number, gaveUp: DeskEdge | null): void {
    const { parts, layout } = this;
    const rules = this.#rulesOfDesk(at);
    const id = state[at] ?? 0;
    const planned = plannedOperation(parts.desk(id).desk, rules);
    if (planned === null) return;
    const floor = parts.observed(state[layout.observedAt] ?? 0).observed.floors.get(planned.register) ?? 0;
    const edge = parts.beginEdge(id, floor, (idle) => beginOperation(idle, floor, rules));
    const kind = gaveUp === null ? "begin" : "give-up-begin";
    this.#takeDesk(state, edge, { kind, desk: at }, gaveUp?.ended ?? null);
  }

  /** Giving up is seen by nobody until the next operation begins: if there is one it does so in the same move. */
  #giveUp(state: State, at: number, edge: DeskEdge | "cut" | null): void {
    if (edge === null || edge === "cut") return;
    const given = this.#given;
    given.set(state);
    const violation = this.#consequences.ofDesk(given, at, edge);
    const { desk } = this.parts.desk(edge.desk);
    if (violation === null && plannedOperation(desk, this.#rulesOfDesk(at)) !== null)
      this.#begin(given, at, edge);
    else this.#emit(given, { move: { kind: "give-up", desk: at }, ended: edge.ended, violation });
  }

  #act(state: State, at: number): void {
    const { parts, layout } = this;
    const steps = this.#deskSteps[at];
    if (steps === undefined) return;
    const replies: number[] = [];
    for (let seat = 0; seat < layout.seats; seat += 1) replies.push(state[layout.repliesAt(seat, at)] ?? 0);
    if (this.#isLiteral) {
      this.#actOnce(state, at, replies);
      return;
    }
    const { edges, cuts } = parts.acts(state[at] ?? 0, replies, steps);
    this.cuts += cuts;
    for (const { edge, steps: taken } of edges)
      this.#takeDesk(state, edge, { kind: "act", desk: at, steps: taken });
  }

  #actOnce(state: State, at: number, replies: readonly number[]): void {
    const steps = this.#deskSteps[at];
    if (steps === undefined) return;
    for (const { edge, step } of localEdges(this.parts, state[at] ?? 0, { replies, steps }))
      this.#takeDesk(state, edge, { kind: "act", desk: at, steps: [step] });
  }

  #askRegisters(state: State, at: number): void {
    const { parts, layout } = this;
    const id = state[at] ?? 0;
    const { desk } = parts.desk(id);
    for (let seat = 0; seat < layout.seats; seat += 1) {
      const { list, memory } = parts.seat(state[layout.seatAt(seat)] ?? 0).seat;
      const self = parts.voters[seat];
      if (self === undefined || desk.settling === null) continue;
      const shown = showRegisters({ self, list }, desk.settling.list.number, memory);
      if (shown.kind === "nack") continue;
      const edge = parts.edgeOf(id, hearRegisters(desk, self, shown.names));
      this.#takeDesk(state, edge, { kind: "show", desk: at, seat });
    }
  }

  #takeDesk(
    state: State,
    edge: DeskEdge | "cut" | null,
    move: Move & { readonly desk: number },
    ended: Ended | null = null,
  ): void {
    if (edge === null) return;
    if (edge === "cut") {
      this.cuts += 1;
      return;
    }
    const next = this.#next;
    next.set(state);
    const violation = this.#consequences.ofDesk(next, move.desk, edge);
    this.#emit(next, { move, ended: edge.ended ?? ended, violation });
  }

  // --- acceptors

  #moveSeat(state: State, at: number): void {
    const { parts, layout } = this;
    for (let desk = 0; desk < layout.desks; desk += 1) {
      const { request } = parts.desk(state[desk] ?? 0);
      if (request >= 0) this.#ask(state, at, request, true);
    }
    for (const request of parts.sets.get(state[layout.formerAt] ?? 0)) this.#ask(state, at, request, false);
    if (this.scenario.crashes !== null) this.#crash(state, at, this.scenario.crashes);
    if (this.#broken.has("lost-disk")) this.#loseDisk(state, at);
  }

  #ask(state: State, at: number, request: number, isAwaited: boolean): void {
    if (this.parts.request(request).isSentTo[at] !== true) return;
    const seat = state[this.layout.seatAt(at)] ?? 0;
    const edge = this.parts.requestEdge(at, seat, { request, isAwaited });
    this.#takeSeat(state, edge, { kind: "ask", seat: at, request });
  }

  #crash(state: State, at: number, crashesMax: number): void {
    const { parts, layout } = this;
    const { seat } = parts.seat(state[layout.seatAt(at)] ?? 0);
    const synced = syncSeat(seat);
    if (synced !== null) this.#takeSeat(state, parts.seatEdge(synced), { kind: "sync", seat: at });
    const crashes = state[layout.crashesAt] ?? 0;
    if (crashes >= crashesMax) return;
    const crashed = crashSeat(seat);
    const move = { kind: "crash", seat: at } as const;
    if (crashed !== null) this.#takeSeat(state, parts.seatEdge({ seat: crashed, leaving: [] }), move, 1);
  }

  /** One of all, once. */
  #loseDisk(state: State, at: number): void {
    const { parts, layout } = this;
    if ((state[layout.crashesAt] ?? 0) > 0) return;
    const lost = loseDisk(parts.seat(state[layout.seatAt(at)] ?? 0).seat);
    this.#takeSeat(state, parts.seatEdge({ seat: lost, leaving: [] }), { kind: "lose-disk", seat: at }, 1);
  }

  #takeSeat(state: State, edge: SeatEdge, move: Move & { readonly seat: number }, crashes = 0): void {
    const next = this.#next;
    next.set(state);
    next[this.layout.crashesAt] = (state[this.layout.crashesAt] ?? 0) + crashes;
    const fault = this.#consequences.ofSeat(next, move.seat, edge);
    if (fault !== "nothing") this.#emit(next, { move, ended: null, violation: fault?.text ?? null });
  }

  // --- lists

  #spreadList(state: State, list: number): void {
    const { parts, layout } = this;
    for (let at = 0; at < layout.desks; at += 1) {
      const rules = this.#rulesOfDesk(at);
      const edge = parts.listEdge(state[at] ?? 0, list, (desk) => learn(desk, parts.list(list), rules));
      this.#takeDesk(state, edge, { kind: "learn", desk: at, list });
    }
    for (let at = 0; at < layout.seats; at += 1) {
      const seat = adopt(parts.seat(state[layout.seatAt(at)] ?? 0).seat, parts.list(list));
      if (seat === null) continue;
      this.#takeSeat(state, parts.seatEdge({ seat, leaving: [] }), { kind: "adopt", seat: at, list });
    }
  }

  #rulesOfDesk(at: number): DeskRules {
    const rules = this.#deskRules[at];
    if (rules === undefined) throw new Error(`bug: no desk ${at}`);
    return rules;
  }

  #rulesOfSeat(at: number): SeatRules {
    const rules = this.#seatRules[at];
    if (rules === undefined) throw new Error(`bug: no seat ${at}`);
    return rules;
  }
}

function seatRulesOf(
  scenario: Scenario,
  letter: string,
  broken: ReadonlySet<BreakName>,
): Omit<SeatRules, "formerList"> {
  const { refusing } = scenario;
  const isRefusing = refusing?.voters.includes(letter) === true;
  return {
    voter: idOf(letter),
    broken,
    isStaged: scenario.crashes !== null,
    refusal: (record) =>
      isRefusing && recordText({ record }).startsWith(refusing.recordsOf) ? "an unknown field" : null,
  };
}
