// Keys: parts of a state as text; equal text, equal part. What no step looks at is left out: serial numbers of turns, counts of
// lost duels, who was heard, signatures (a function of voter, list, ballot and value).

import type { AcceptorReply, AcceptorRequest, Slot } from "../../register/acceptor.ts";
import type { VoterId } from "../../register/ballot.ts";
import type { Vote } from "../../register/certificate.ts";
import type { Proposer } from "../../register/proposer.ts";
import type { HeadStart } from "../../register/proposer-face.ts";
import { shortBallot } from "../../register/testing/describe.ts";
import type { RegisterValue } from "../../register/value.ts";
import type { VoterList } from "../../register/voter-list.ts";
import { listText } from "./list-text.ts";

const decoder = new TextDecoder();

export function recordText({ record }: Pick<RegisterValue, "record">): string {
  return decoder.decode(record);
}

/** `1 1.a a1`: epoch, origin, record. */
function valueKey(value: RegisterValue): string {
  return `${value.epoch} ${shortBallot(value.origin)} ${recordText(value)}`;
}

export function voteKey(vote: Vote | null): string {
  return vote === null ? "-" : `${vote.list} ${shortBallot(vote.ballot)} ${valueKey(vote.value)}`;
}

export function requestKey(request: AcceptorRequest): string {
  const head = `${request.register} ${request.list} ${request.kind}`;
  if (request.kind === "query") return head;
  if (request.kind === "prepare") return `${head} ${shortBallot(request.ballot)}`;
  const next = request.next === null ? "-" : shortBallot(request.next);
  return `${head} ${shortBallot(request.ballot)} ${next} ${valueKey(request.value)}`;
}

export function replyKey(reply: AcceptorReply): string {
  switch (reply.kind) {
    case "state":
      return `state ${voteKey(reply.accepted)}`;
    case "promise":
      return `promise ${shortBallot(reply.ballot)} ${voteKey(reply.accepted)}`;
    case "accepted":
      return `accepted ${voteKey(reply.vote)} ${shortBallot(reply.promised)}`;
    case "nack":
      if (reply.code === "outdated") return `outdated ${shortBallot(reply.promised)}`;
      return reply.code === "former-list" ? `former-list ${reply.list}` : reply.code;
  }
}

export function slotKey({ promised, accepted }: Slot): string {
  return `${shortBallot(promised)} ${voteKey(accepted)}`;
}

export function listKey(list: VoterList): string {
  return listText(list);
}

export function headStartKey({ list, ballot, current }: HeadStart): string {
  return `${list} ${shortBallot(ballot)} ${valueKey(current)}`;
}

/** All but what it heard of single voters. */
export function proposerKey({ options, list, phase, seenRound, proposed }: Proposer): string {
  const ballots = "ballot" in phase ? `${shortBallot(phase.ballot)} ${shortBallot(phase.next)}` : "-";
  const value =
    phase.kind === "accepting" ? `${valueKey(phase.value)} ${phase.ending} ${phase.promised}` : "-";
  const ours = proposed === null ? "-" : shortBallot(proposed);
  const operation = "record" in options.operation ? decoder.decode(options.operation.record) : "-";
  const head = `${options.register} ${options.operation.kind} ${operation} ${list.number}`;
  // Only a read gives it back.
  const { headStart, operation: asked } = options;
  const ahead = headStart === null || asked.kind !== "read" ? "-" : headStartKey(headStart);
  return [head, ahead, phase.kind, ballots, value, seenRound, ours].join("|");
}

/** What it heard of this voter in its phase. */
export function heardKey({ phase, nacks }: Proposer, voter: VoterId): string {
  const nack = nacks.get(voter);
  const refused = nack === undefined ? "" : replyKey(nack);
  if (!("answers" in phase) || !phase.answers.has(voter)) return `|${refused}`;
  return `${voteKey(phase.answers.get(voter) ?? null)}|${refused}`;
}

/** Pairs of a map, in order, as text. */
export function pairsKey<Value>(pairs: ReadonlyMap<string, Value>, keyOf: (value: Value) => string): string {
  const texts = [...pairs].map(([name, value]) => `${name} ${keyOf(value)}`);
  return texts.sort().join(",");
}
