// Requests, answers and outcomes in words, for transcripts and for the model's stories. Voters are one letter each.

import type { AcceptorReply, AcceptorRequest, Nack } from "../acceptor.ts";
import type { Ballot } from "../ballot.ts";
import type { Vote } from "../certificate.ts";
import type { CommittedValue, HeadStart, Outcome } from "../proposer-face.ts";
import type { RegisterValue } from "../value.ts";
import { letterOf } from "./voters.ts";

/** `7.a` */
export function shortBallot({ round, proposer }: Ballot): string {
  return round === 0 ? "none" : `${round}.${letterOf(proposer)}`;
}

/** `3 "text"`: epoch and record. */
export function describeValue({ epoch, record }: RegisterValue): string {
  return `${epoch} "${new TextDecoder().decode(record)}"`;
}

/** Begins with what it asks, then its ballot. */
export function describeRequest(request: AcceptorRequest): string {
  switch (request.kind) {
    case "query":
      return `query, list ${request.list}`;
    case "prepare":
      return `prepare ${shortBallot(request.ballot)}, list ${request.list}`;
    case "accept": {
      const next = request.next === null ? "" : `, next ${shortBallot(request.next)}`;
      return `accept ${shortBallot(request.ballot)} ${describeValue(request.value)}${next}, list ${request.list}`;
    }
  }
}

export function describeReply(reply: AcceptorReply): string {
  switch (reply.kind) {
    case "state":
      return `has ${describeVote(reply.accepted)}`;
    case "promise":
      return `promises ${shortBallot(reply.ballot)}, has ${describeVote(reply.accepted)}`;
    case "accepted":
      return `accepts ${describeVote(reply.vote)}, promises ${shortBallot(reply.promised)}`;
    case "nack":
      return `refuses: ${describeNack(reply)}`;
  }
}

function describeVote(vote: Vote | null): string {
  return vote === null ? "nothing" : `${describeValue(vote.value)} at ${shortBallot(vote.ballot)}`;
}

function describeNack(nack: Nack): string {
  switch (nack.code) {
    case "outdated":
      return `outdated, promised ${shortBallot(nack.promised)}`;
    case "former-list":
      return `former-list, goes by ${nack.list}`;
    case "invalid":
      return `invalid, ${nack.reason}`;
    case "unknown-list":
    case "not-a-voter":
    case "second-value":
      return nack.code;
  }
}

export function describeOutcome(outcome: Outcome, headStart: HeadStart | null): string {
  const ahead = headStart === null ? "" : `; head start ${shortBallot(headStart.ballot)}`;
  return `${describeEnd(outcome)}${ahead}`;
}

function describeEnd(outcome: Outcome): string {
  switch (outcome.kind) {
    case "committed":
      return `committed ${describeCommitted(outcome)}`;
    case "conflict":
    case "read":
      return `${outcome.kind}: ${outcome.current === null ? "nothing" : describeCommitted(outcome.current)}`;
    case "unknown":
      return "unknown";
    case "unavailable":
      return `unavailable, missing: ${outcome.missing.map(letterOf).join(" ") || "nobody"}`;
    case "refused":
      return `refused: ${outcome.reason}`;
  }
}

function describeCommitted({ value, certificate: { list, ballot, signatures } }: CommittedValue): string {
  const voters = [...signatures.keys()].map(letterOf).join(" ");
  return `${describeValue(value)}, signed by ${voters} at ${shortBallot(ballot)} under list ${list}`;
}
