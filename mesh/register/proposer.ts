// Proposer: one operation on one register, to its end (CASPaxos, Rystsov 2018). Prepare at a majority, take the value of the
// highest ballot that it shows, change it or not, have a majority accept it. A read that a majority answers alike needs neither.
// Pure: `begin` and `advance` return a new state and the effects. Serial numbers of turns drop late answers and timers.

import { DUEL_SLOT_MS, REGISTER_RESEND_MS } from "../limits.ts";
import type { AcceptorReply, AcceptorRequest, Nack } from "./acceptor.ts";
import { type Ballot, compareBallots, describeBallot, isSameBallot, type VoterId } from "./ballot.ts";
import { certify, type Vote } from "./certificate.ts";
import { type Ending, plan } from "./plan.ts";
import type {
  CommittedValue,
  HeadStart,
  Outcome,
  ProposerDeps,
  ProposerEffect,
  ProposerInput,
  ProposerOptions,
} from "./proposer-face.ts";
import { isSameValue, type RegisterValue } from "./value.ts";
import { majorityOf, rankOf, type VoterList, voterOf } from "./voter-list.ts";

/** Doubled with each try, up to this many times. */
const DUEL_DOUBLINGS_MAX = 4;

/**
 * - `querying`: asked what they have.
 * - `reserving`: waits for ballots that were never used.
 * - `preparing`: asked to promise; nothing of this ballot can be chosen yet.
 * - `accepting`: asked to accept; from here on its value may be chosen whatever becomes of us.
 * - `backing-off`: somebody else was quicker; waits.
 * - `ended`: no input changes anything.
 */
type Phase =
  | { readonly kind: "querying"; readonly answers: ReadonlyMap<VoterId, Vote | null> }
  | { readonly kind: "reserving"; readonly headStart: HeadStart | null }
  | {
      readonly kind: "preparing";
      readonly ballot: Ballot;
      readonly next: Ballot;
      readonly answers: ReadonlyMap<VoterId, Vote | null>;
    }
  | {
      readonly kind: "accepting";
      readonly ballot: Ballot;
      readonly next: Ballot;
      readonly value: RegisterValue;
      readonly ending: Ending;
      readonly answers: ReadonlyMap<VoterId, Vote>;
      /** Those that promised `next` with their vote. */
      readonly promised: number;
    }
  | { readonly kind: "backing-off" }
  | { readonly kind: "ended" };

export interface Proposer {
  readonly options: ProposerOptions;
  readonly list: VoterList;
  readonly phase: Phase;
  /** Of the phase; each new one has the next. */
  readonly turn: number;
  /** In this phase. */
  readonly nacks: ReadonlyMap<VoterId, Nack>;
  /** The highest round heard of. */
  readonly seenRound: number;
  /** Of phases that another proposer won. */
  readonly losses: number;
  /** What we have asked anybody to accept of our own; null: nothing, and nothing of ours can be chosen. */
  readonly proposed: Ballot | null;
  /** Who said anything since the newest phase that asks began. */
  readonly heard: ReadonlySet<VoterId>;
}

type Stepped = readonly [Proposer, readonly ProposerEffect[]];

export function begin(options: ProposerOptions): Stepped {
  const { headStart, list, operation } = options;
  const fresh: Proposer = {
    options,
    list,
    phase: { kind: "ended" },
    turn: 0,
    nacks: new Map(),
    seenRound: headStart?.ballot.round ?? 0,
    losses: 0,
    proposed: null,
    heard: new Set(),
  };
  if (operation.kind === "read") return query(fresh);
  return reserve(fresh, headStart?.list === list.number ? headStart : null);
}

export function advance(proposer: Proposer, input: ProposerInput, deps: ProposerDeps): Stepped {
  if (proposer.phase.kind === "ended") return [proposer, []];
  switch (input.kind) {
    case "give-up":
      return end(proposer, abandoned(proposer));
    case "list":
      if (input.list.number <= proposer.list.number) return [proposer, []];
      return restart({ ...proposer, list: input.list });
    case "reserved":
      return input.turn === proposer.turn ? reserved(proposer, input) : [proposer, []];
    case "timer":
      return input.turn === proposer.turn ? rang(proposer, deps) : [proposer, []];
    case "reply": {
      if (voterOf(proposer.list, input.from) === undefined) return [proposer, []];
      const heard = hear(proposer, input.from);
      // A late answer says only that its voter is there.
      return input.turn === proposer.turn ? replied(heard, input.from, input.reply, deps) : [heard, []];
    }
  }
}

/** One line. */
export function describeProposer({ options, phase, list, turn, nacks }: Proposer): string {
  const ballot = "ballot" in phase ? ` ${describeBallot(phase.ballot)}` : "";
  const answers = "answers" in phase ? ` ${phase.answers.size}/${majorityOf(list)}` : "";
  const refusals = nacks.size === 0 ? "" : ` nacks ${[...nacks.values()].map(({ code }) => code).join(" ")}`;
  return `${options.register} ${options.operation.kind}: ${phase.kind}${ballot}${answers}${refusals} turn ${turn}`;
}

// --- phases

function enter(proposer: Proposer, phase: Phase): Proposer {
  const heard = "answers" in phase ? new Set<VoterId>() : proposer.heard;
  return { ...proposer, phase, turn: proposer.turn + 1, nacks: new Map(), heard };
}

function query(proposer: Proposer): Stepped {
  return asked(enter(proposer, { kind: "querying", answers: new Map() }));
}

function reserve(proposer: Proposer, headStart: HeadStart | null): Stepped {
  const entered = enter(proposer, { kind: "reserving", headStart });
  return [entered, [{ kind: "reserve", turn: entered.turn, above: entered.seenRound }]];
}

/** Under another list, or after a loss: what was promised to us is worth nothing any more. */
function restart(proposer: Proposer): Stepped {
  return reserve(proposer, null);
}

function reserved(
  proposer: Proposer,
  { ballot, next }: Extract<ProposerInput, { kind: "reserved" }>,
): Stepped {
  if (proposer.phase.kind !== "reserving") return [proposer, []];
  const { headStart } = proposer.phase;
  if (headStart !== null) {
    return propose(proposer, { ballot: headStart.ballot, next, current: headStart.current });
  }
  return asked(enter(proposer, { kind: "preparing", ballot, next, answers: new Map() }));
}

function propose(
  proposer: Proposer,
  {
    ballot,
    next,
    current,
  }: { readonly ballot: Ballot; readonly next: Ballot; readonly current: RegisterValue | null },
): Stepped {
  const { operation } = proposer.options;
  const { value, ending, isOurs } = plan(operation, { current, ballot, proposed: proposer.proposed });
  if (value === null) return end(proposer, nothing(proposer, ending));
  const proposed = isOurs ? value.origin : proposer.proposed;
  return asked(
    enter(
      { ...proposer, proposed },
      { kind: "accepting", ballot, next, value, ending, answers: new Map(), promised: 0 },
    ),
  );
}

function end(proposer: Proposer, outcome: Outcome, headStart: HeadStart | null = null): Stepped {
  return [enter(proposer, { kind: "ended" }), [{ kind: "end", outcome, headStart }]];
}

/** A majority has nothing. What we proposed a minority may have all the same, for somebody else to find. */
function nothing({ proposed }: Proposer, ending: Ending): Outcome {
  if (proposed !== null) return { kind: "unknown" };
  return { kind: ending === "read" ? "read" : "conflict", current: null };
}

function abandoned({ proposed, list, heard }: Proposer): Outcome {
  if (proposed !== null) return { kind: "unknown" };
  return { kind: "unavailable", missing: list.voters.map(({ id }) => id).filter((id) => !heard.has(id)) };
}

// --- questions

/** Sends what the phase asks to all who have not answered, and looks again after a while. */
function asked(proposer: Proposer): Stepped {
  const { phase, list, turn } = proposer;
  const request = requestOf(proposer);
  if (request === null || !("answers" in phase)) return [proposer, []];
  const silent = list.voters.filter(({ id }) => !phase.answers.has(id) && !proposer.nacks.has(id));
  const sends = silent.map(({ id }) => ({ kind: "send", to: id, turn, request }) as const);
  return [proposer, [...sends, { kind: "schedule", turn, delayMs: REGISTER_RESEND_MS }]];
}

function requestOf({ options: { register }, list: { number }, phase }: Proposer): AcceptorRequest | null {
  const head = { register, list: number };
  switch (phase.kind) {
    case "querying":
      return { ...head, kind: "query" };
    case "preparing":
      return { ...head, kind: "prepare", ballot: phase.ballot };
    case "accepting":
      return { ...head, kind: "accept", ballot: phase.ballot, value: phase.value, next: phase.next };
    case "reserving":
    case "backing-off":
    case "ended":
      return null;
  }
}

function rang(proposer: Proposer, deps: ProposerDeps): Stepped {
  const { phase, nacks, list } = proposer;
  if (phase.kind === "backing-off") return reserve(proposer, null);
  if (phase.kind === "querying" && phase.answers.size >= majorityOf(list)) {
    return reserve(proposer, null);
  }
  if (hasNack(proposer, "outdated")) return backOff(proposer, deps);
  // The others were heard, or had their time.
  if (isRefusedForGood(proposer)) return end(proposer, { kind: "unknown" });
  // Those that did not know our list may know it by now.
  return asked({ ...proposer, nacks: new Map([...nacks].filter(([, { code }]) => code !== "unknown-list")) });
}

/** Of two that outbid each other the one of lower rank waits longer, and both longer with each time. */
function backOff(proposer: Proposer, { random }: ProposerDeps): Stepped {
  const losses = proposer.losses + 1;
  const slots = rankOf(proposer.list, proposer.options.self) + random();
  const delayMs = DUEL_SLOT_MS * slots * 2 ** Math.min(losses - 1, DUEL_DOUBLINGS_MAX);
  const entered = enter({ ...proposer, losses }, { kind: "backing-off" });
  return [entered, [{ kind: "schedule", turn: entered.turn, delayMs }]];
}

// --- answers

function hear(proposer: Proposer, from: VoterId): Proposer {
  if (proposer.heard.has(from)) return proposer;
  return { ...proposer, heard: new Set([...proposer.heard, from]) };
}

function replied(proposer: Proposer, from: VoterId, reply: AcceptorReply, deps: ProposerDeps): Stepped {
  const { phase } = proposer;
  if (reply.kind === "nack") return refused(proposer, from, reply, deps);
  if (phase.kind === "querying" && reply.kind === "state") {
    return read(proposer, new Map([...phase.answers, [from, reply.accepted]]), deps);
  }
  if (phase.kind === "preparing" && reply.kind === "promise" && isSameBallot(reply.ballot, phase.ballot)) {
    const answers = new Map([...phase.answers, [from, reply.accepted]]);
    if (answers.size < majorityOf(proposer.list)) return [{ ...proposer, phase: { ...phase, answers } }, []];
    const { ballot, next } = phase;
    return propose(proposer, { ballot, next, current: newest(answers)?.value ?? null });
  }
  if (phase.kind === "accepting" && reply.kind === "accepted") {
    return accepted(proposer, from, reply, deps);
  }
  return [proposer, []];
}

/** The value of the highest ballot is the only one that can have been chosen. */
function newest(answers: ReadonlyMap<VoterId, Vote | null>): Vote | null {
  let highest: Vote | null = null;
  for (const vote of answers.values()) {
    if (vote !== null && (highest === null || compareBallots(vote.ballot, highest.ballot) > 0))
      highest = vote;
  }
  return highest;
}

/**
 * A majority that has one value at one ballot has chosen it, and nothing later had been when they were asked; a majority that
 * has nothing: nothing had been. Anything else may or may not have been chosen: it is proposed again, then it is.
 */
function read(proposer: Proposer, answers: ReadonlyMap<VoterId, Vote | null>, deps: ProposerDeps): Stepped {
  const { list, options } = proposer;
  const asking = { ...proposer, phase: { kind: "querying", answers } } as const;
  const empty = [...answers.values()].filter((vote) => vote === null).length;
  // It used nothing up, so what was promised to us still is.
  const { headStart } = options;
  if (empty >= majorityOf(list)) return end(asking, { kind: "read", current: null }, headStart);
  const signed = [...answers].filter(
    (answer): answer is [VoterId, Vote] =>
      answer[1] !== null && deps.isSigned(options.register, answer[0], answer[1]),
  );
  const current = certify(new Map(signed), list, deps);
  if (current !== null) return end(asking, { kind: "read", current }, headStart);
  return answers.size < list.voters.length ? [asking, []] : reserve(asking, null);
}

function accepted(
  proposer: Proposer,
  from: VoterId,
  { vote, promised }: Extract<AcceptorReply, { kind: "accepted" }>,
  deps: ProposerDeps,
): Stepped {
  const { phase, list, options } = proposer;
  if (phase.kind !== "accepting" || !isSameBallot(vote.ballot, phase.ballot)) return [proposer, []];
  if (!isSameValue(vote.value, phase.value)) return [proposer, []];
  if (!deps.isSigned(options.register, from, vote) || phase.answers.has(from)) return [proposer, []];
  const answers = new Map([...phase.answers, [from, vote]]);
  const promises = phase.promised + Number(isSameBallot(promised, phase.next));
  const counted = { ...proposer, phase: { ...phase, answers, promised: promises } };
  const committed = certify(answers, list, deps);
  if (committed === null) return [counted, []];
  const { next: ballot, value: current, ending } = phase;
  const isAhead = promises >= majorityOf(list);
  return end(
    counted,
    outcomeOf(ending, { ...committed, value: current }),
    isAhead ? { list: list.number, ballot, current } : null,
  );
}

function outcomeOf(ending: Ending, current: CommittedValue): Outcome {
  switch (ending) {
    case "committed":
      return { kind: "committed", ...current };
    case "conflict":
      return { kind: "conflict", current };
    case "read":
      return { kind: "read", current };
    case "unknown":
      return { kind: "unknown" };
  }
}

// --- refusals

function refused(proposer: Proposer, from: VoterId, nack: Nack, deps: ProposerDeps): Stepped {
  const { phase, list } = proposer;
  if (nack.code === "former-list") return [proposer, [{ kind: "fetch-list", list: nack.list }]];
  if ("answers" in phase && phase.answers.has(from)) return [proposer, []];
  const seenRound =
    nack.code === "outdated" ? Math.max(proposer.seenRound, nack.promised.round) : proposer.seenRound;
  const noted = { ...proposer, seenRound, nacks: new Map([...proposer.nacks, [from, nack]]) };
  if (!isRefused(noted)) return [noted, []];
  if (hasNack(noted, "outdated")) return backOff(noted, deps);
  // Repeated by the timer: they fetch the list.
  if (hasNack(noted, "unknown-list")) return [noted, []];
  // As long as anybody may take what we proposed, nothing is certain: others are heard first, until the timer.
  if (noted.proposed !== null && noted.nacks.size < list.voters.length) return [noted, []];
  return end(noted, isUntaken(noted) ? refusal(noted) : { kind: "unknown" });
}

/** So many that those who are left are no majority. */
function isRefused({ list, nacks }: Proposer): boolean {
  return list.voters.length - nacks.size < majorityOf(list);
}

/** And asking again will not change that. */
function isRefusedForGood(proposer: Proposer): boolean {
  return isRefused(proposer) && !hasNack(proposer, "outdated") && !hasNack(proposer, "unknown-list");
}

function hasNack({ nacks }: Proposer, code: Nack["code"]): boolean {
  return nacks.values().some((nack) => nack.code === code);
}

/** All voters refused all that we ever proposed. */
function isUntaken({ phase, proposed }: Proposer): boolean {
  return proposed === null || (phase.kind === "accepting" && isSameBallot(phase.ballot, proposed));
}

function refusal({ nacks }: Proposer): Outcome {
  const reasons = [...nacks.values()].map((nack) => (nack.code === "invalid" ? nack.reason : nack.code));
  return { kind: "refused", reason: [...new Set(reasons)].join("; ") };
}
