// Desk steps: the real `begin` and `advance`, and around them what the shell does: rounds reserved on disk before they are used, the
// head start kept from one operation to the next, the tasks one after the other. Pure: a step makes a new desk.

import type { AcceptorReply } from "../../register/acceptor.ts";
import type { VoterId } from "../../register/ballot.ts";
import type { RegisterName } from "../../register/certificate.ts";
import { advance, begin, type Proposer } from "../../register/proposer.ts";
import type { Outcome, ProposerDeps, ProposerEffect } from "../../register/proposer-face.ts";
import { beginSettling, recommitted, showed, VOTERS_REGISTER } from "../../register/settle.ts";
import type { VoterList } from "../../register/voter-list.ts";
import {
  type Desk,
  type DeskResult,
  type DeskRules,
  type DeskStep,
  type Ended,
  isFinished,
  nextTask,
} from "./desk.ts";
import { plannedOperation } from "./desk-tasks.ts";
import { recordText } from "./keys.ts";
import { listFrom } from "./list-text.ts";

/** `floor`: the highest epoch of the register that was reported to anybody. */
export function beginOperation(desk: Desk, floor: number, rules: DeskRules): DeskResult {
  const planned = plannedOperation(desk, rules);
  if (planned === null) return null;
  const { register, operation } = planned;
  const headStart = desk.headStarts.get(register) ?? null;
  const headStarts = new Map(desk.headStarts);
  if (!rules.broken.has("head-start-twice")) headStarts.delete(register);
  const { list } = desk;
  const begun = begin({ register, self: rules.voter, list, operation, headStart });
  return carryOut({ ...desk, headStarts, floor }, begun, rules);
}

// --- what happens to it

export function hear(desk: Desk, from: VoterId, reply: AcceptorReply, rules: DeskRules): DeskResult {
  return input(desk, rules, (running) => {
    const deps = depsOf(rules);
    if (reply.kind !== "state" || !rules.broken.has("one-answer-read"))
      return advance(running, { kind: "reply", from, turn: running.turn, reply }, deps);
    // As if all had said what one did.
    let stepped: Stepped = [running, []];
    for (const { id } of desk.list.voters) {
      const [heard, effects] = stepped;
      const next = advance(heard, { kind: "reply", from: id, turn: heard.turn, reply }, deps);
      stepped = [next[0], [...effects, ...next[1]]];
    }
    return stepped;
  });
}

export function ring(desk: Desk, rules: DeskRules): DeskResult {
  return input(desk, rules, (running) =>
    advance(running, { kind: "timer", turn: running.turn }, depsOf(rules)),
  );
}

export function giveUp(desk: Desk, rules: DeskRules): DeskResult {
  return input(desk, rules, (running) => advance(running, { kind: "give-up" }, depsOf(rules)));
}

/** The process ends and starts: what is not on its disk is gone, and nobody knows what became of its operation. */
export function restart(desk: Desk, rules: DeskRules): DeskResult {
  if (desk.restarts >= rules.restartsMax || isFinished(desk, rules)) return null;
  const isHalfSettled = rules.tasks[desk.done]?.kind === "settle";
  const idle = { ...desk, running: null, asking: null, floor: 0 };
  const after = desk.running === null || isHalfSettled ? idle : nextTask(idle, rules);
  const restarted: Desk = {
    ...after,
    round: rules.broken.has("ballot-reuse") ? 0 : after.round,
    headStarts: new Map(),
    settling: null,
    restarts: desk.restarts + 1,
  };
  const ended = desk.running === null ? null : endedOf(desk, desk.running, { kind: "unknown" });
  return { desk: restarted, isNewTurn: true, ended };
}

/** A list that is in force. */
export function learn(desk: Desk, list: VoterList, rules: DeskRules): DeskResult {
  if (isFinished(desk, rules)) return null;
  const isNewer = list.number > desk.list.number;
  if (!isNewer && (list.number < desk.list.number || desk.list.isSettled || !list.isSettled)) return null;
  const learnt: Desk = isNewer ? { ...desk, list, headStarts: new Map(), settling: null } : { ...desk, list };
  if (desk.running === null || !isNewer) return { desk: learnt, isNewTurn: false, ended: null };
  return input(learnt, rules, (running) => advance(running, { kind: "list", list }, depsOf(rules)));
}

/** A voter said which registers it has, under the list that is to be settled. */
export function hearRegisters(desk: Desk, from: VoterId, names: readonly RegisterName[]): DeskResult {
  const { settling } = desk;
  if (settling === null || settling.shown.has(from)) return null;
  return { desk: { ...desk, settling: showed(settling, from, names) }, isNewTurn: false, ended: null };
}

/** Begins to settle the list that it goes by, if that is its task. */
export function settle(desk: Desk, rules: DeskRules): DeskResult {
  const isDue = rules.tasks[desk.done]?.kind === "settle" && desk.settling === null && desk.running === null;
  if (!isDue || desk.list.isSettled) return null;
  return { desk: { ...desk, settling: beginSettling(desk.list) }, isNewTurn: false, ended: null };
}

// --- effects

type Stepped = readonly [Proposer, readonly ProposerEffect[]];

function depsOf({ broken }: DeskRules): ProposerDeps {
  return { random: () => 0, isSigned: () => true, isMixed: broken.has("mixed-ballot-certificate") };
}

function input(desk: Desk, rules: DeskRules, step: (running: Proposer) => Stepped): DeskResult {
  return desk.running === null ? null : carryOut(desk, step(desk.running), rules);
}

/** Reserving and waiting after a lost duel take no time here: between them and the next question nobody sees anything of us. */
function carryOut(before: Desk, [running, effects]: Stepped, rules: DeskRules): DeskResult {
  let desk: Desk = { ...before, running };
  for (const effect of effects) {
    if (effect.kind === "end") return endOperation(desk, running, effect, rules);
    if (effect.kind === "send") desk = { ...desk, asking: effect.request };
    if (effect.kind === "schedule" && running.phase.kind === "backing-off") {
      const { turn } = effect;
      return carryOut(desk, advance(running, { kind: "timer", turn }, depsOf(rules)), rules);
    }
    if (effect.kind === "reserve") {
      if (desk.attempts >= rules.attemptsMax) return "cut";
      const round = Math.max(desk.round, effect.above) + 1;
      const [ballot, next] = [
        { round, proposer: rules.voter },
        { round: round + 1, proposer: rules.voter },
      ];
      desk = { ...desk, round: next.round, attempts: desk.attempts + 1 };
      const reserved = { kind: "reserved", turn: effect.turn, ballot, next } as const;
      return carryOut(desk, advance(running, reserved, depsOf(rules)), rules);
    }
  }
  return { desk: { ...desk, running: plain(running) }, isNewTurn: running.turn > 0, ended: null };
}

const NOBODY: ReadonlySet<VoterId> = new Set();

function plain(running: Proposer): Proposer {
  return { ...running, turn: 0, losses: 0, heard: NOBODY };
}

function endedOf({ floor }: Desk, { options }: Proposer, outcome: Outcome): Ended {
  const { register, operation } = options;
  return { register, operation, outcome, floor };
}

function endOperation(
  before: Desk,
  running: Proposer,
  { outcome, headStart }: Extract<ProposerEffect, { kind: "end" }>,
  rules: DeskRules,
): DeskStep {
  const { register } = running.options;
  const headStarts = new Map(before.headStarts);
  if (headStart !== null) headStarts.set(register, headStart);
  const known = new Map(before.known);
  if (outcome.kind === "committed") known.set(register, outcome.value.epoch);
  if (outcome.kind === "read" || outcome.kind === "conflict")
    known.set(register, outcome.current?.value.epoch ?? 0);
  const idle: Desk = { ...before, running: null, asking: null, headStarts, known, floor: 0 };
  const desk =
    before.settling === null ? nextTask(idle, rules) : settleFurther(idle, { running, outcome, rules });
  const told = rules.broken.has("unknown-as-unavailable") && outcome.kind === "unknown";
  const ended = endedOf(before, running, told ? { kind: "unavailable", missing: [] } : outcome);
  return { desk: adoptCommitted(desk, running, outcome), isNewTurn: true, ended };
}

interface SettledBy {
  readonly running: Proposer;
  readonly outcome: Outcome;
  readonly rules: DeskRules;
}

function settleFurther(desk: Desk, { running: { options, list }, outcome, rules }: SettledBy): Desk {
  const { settling } = desk;
  if (settling === null) return desk;
  if (options.operation.kind === "swap") return nextTask({ ...desk, settling: null }, rules);
  if (outcome.kind !== "read") return desk;
  const number = outcome.current?.certificate.list ?? list.number;
  return { ...desk, attempts: 0, settling: recommitted(settling, options.register, number) };
}

/** A list that it committed itself is in force for it at once. */
function adoptCommitted(desk: Desk, { options }: Proposer, outcome: Outcome): Desk {
  if (options.register !== VOTERS_REGISTER || outcome.kind !== "committed") return desk;
  const list = listFrom(recordText(outcome.value));
  return { ...desk, list, headStarts: list.number === desk.list.number ? desk.headStarts : new Map() };
}
