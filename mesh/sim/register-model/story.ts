// Story: a way through the states, a line a move, to be read by people.

import type { AcceptorRequest } from "../../register/acceptor.ts";
import type { Proposer } from "../../register/proposer.ts";
import { describeOutcome, describeReply, describeRequest } from "../../register/testing/describe.ts";
import type { LocalStep } from "./acts.ts";
import type { Desk, Ended } from "./desk.ts";
import type { State } from "./layout.ts";
import { listText } from "./list-text.ts";
import type { Model } from "./model.ts";
import type { Move } from "./move.ts";

export interface Step {
  readonly before: State;
  readonly move: Move;
  readonly ended: Ended | null;
  readonly after: State;
}

export function tellStory(model: Model, steps: readonly Step[]): readonly string[] {
  return steps.map((step, at) => `${String(at + 1).padStart(3)}. ${tellStep(model, step)}`);
}

function tellStep(model: Model, step: Step): string {
  const { move } = step;
  switch (move.kind) {
    case "ask":
    case "adopt":
    case "sync":
    case "crash":
    case "lose-disk":
      return tellSeat(model, move, step);
    default:
      return tellDesk(model, move, step);
  }
}

type SeatMove = Extract<Move, { kind: "ask" | "adopt" | "sync" | "crash" | "lose-disk" }>;

function tellSeat(model: Model, move: SeatMove, { before, after }: Step): string {
  const { parts, layout } = model;
  const voter = `voter ${model.letters[move.seat]}`;
  switch (move.kind) {
    case "ask": {
      const { desk, request } = parts.request(move.request);
      const isAwaited = parts.desk(before[desk] ?? 0).request === move.request;
      const seen = new Set(parts.sets.get(before[layout.repliesAt(move.seat, desk)] ?? 0));
      const fresh = parts.sets
        .get(after[layout.repliesAt(move.seat, desk)] ?? 0)
        .filter((one) => !seen.has(one));
      const replies = fresh.map((reply) => describeReply(parts.reply(reply))).join("; ");
      const from = `${model.proposers[desk]}'s ${tellRequest(request)}`;
      if (!isAwaited) return `${voter} gets, late, ${from}`;
      return `${voter} gets ${from}: ${replies === "" ? "not on its disk yet, so no answer" : replies}`;
    }
    case "adopt":
      return `${voter} learns list ${listText(parts.list(move.list))}`;
    case "sync":
      return `${voter} has all on its disk, and answers what waited`;
    case "crash":
      return `${voter} crashes: what was not on its disk is gone`;
    case "lose-disk":
      return `${voter} loses its disk, and goes on under its old id`;
  }
}

function tellRequest(request: AcceptorRequest): string {
  return `${describeRequest(request)} of ${request.register}`;
}

function tellDesk(model: Model, move: Exclude<Move, SeatMove>, { before, after, ended }: Step): string {
  const { parts } = model;
  const was = parts.desk(before[move.desk] ?? 0).desk;
  const is = parts.desk(after[move.desk] ?? 0).desk;
  const who = `proposer ${model.proposers[move.desk]}`;
  const then = ended === null ? tellQuestion(was, is) : ` -> ${describeOutcome(ended.outcome, null)}`;
  switch (move.kind) {
    case "begin":
      return `${who} begins ${tellOperation(is.running)}${then}`;
    case "give-up":
      return `${who} gives up${then}`;
    case "give-up-begin":
      return `${who} gives up${then}; begins ${tellOperation(is.running)}${tellQuestion(was, is)}`;
    case "restart":
      return `${who} restarts: ${was.running === null ? "its head start is gone" : "nobody knows what became of it"}`;
    case "settle":
      return `${who} begins to settle list ${is.list.number}`;
    case "act":
      return `${who} ${move.steps.map((one) => tellLocal(model, one)).join(", then ")}${then}`;
    case "show":
      return `${who} hears which registers ${model.letters[move.seat]} has; so far: ${registersOf(is)}`;
    case "learn":
      return `${who} learns list ${listText(parts.list(move.list))}${then}`;
  }
}

function registersOf({ settling }: Desk): string {
  return settling === null || settling.registers.size === 0 ? "none" : [...settling.registers].join(", ");
}

function tellLocal({ parts, letters }: Model, step: LocalStep): string {
  if (step === "timer") return "rings its timer";
  return `hears from ${letters[step.seat]} that it ${describeReply(parts.reply(step.reply))}`;
}

function tellOperation(running: Proposer | null): string {
  if (running === null) return "and ends an operation";
  const { operation, register } = running.options;
  const record = "record" in operation ? ` "${new TextDecoder().decode(operation.record)}"` : "";
  const expected = operation.kind === "swap" ? `, expecting epoch ${operation.expectedEpoch}` : "";
  return `a ${operation.kind}${record} of ${register} under list ${running.list.number}${expected}`;
}

/** What it asks now, if that is new. */
function tellQuestion(was: Desk, is: Desk): string {
  return is.asking === null || is.asking === was.asking ? "" : ` -> ${describeRequest(is.asking)}`;
}
