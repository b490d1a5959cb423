import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { type AcceptorContext, type AcceptorRequest, answer, EMPTY_SLOT, type Slot } from "./acceptor.ts";
import { type Ballot, compareBallots, describeBallot } from "./ballot.ts";
import { ballotOf, idOf, listOf, valueAt } from "./testing/voters.ts";
import type { RegisterValue } from "./value.ts";

const LIST = listOf("abc", { number: 3 });
const REGISTER = "app/hello";

function contextOf(part: Partial<AcceptorContext> = {}): AcceptorContext {
  return {
    self: idOf("a"),
    list: LIST,
    sign: (register, ballot, { epoch }) => encode(`${register} ${describeBallot(ballot)} ${epoch}`),
    refusal: () => null,
    ...part,
  };
}

function encode(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}

const head = { register: REGISTER, list: LIST.number };

function prepare(ballot: string, list: number = LIST.number): AcceptorRequest {
  return { register: REGISTER, list, kind: "prepare", ballot: ballotOf(ballot) };
}

function accept(ballot: string, value: RegisterValue, next: string | null = null): AcceptorRequest {
  return {
    ...head,
    kind: "accept",
    ballot: ballotOf(ballot),
    value,
    next: next === null ? null : ballotOf(next),
  };
}

/** The slot after these requests. */
function slotAfter(...requests: readonly AcceptorRequest[]): Slot {
  return requests.reduce((slot, request) => answer(contextOf(), slot, request).slot, EMPTY_SLOT);
}

const VALUE = valueAt(1, "2.b");

describe("An acceptor", () => {
  it("promises a ballot and shows what it accepted", () => {
    const { reply, slot } = answer(contextOf(), EMPTY_SLOT, prepare("2.b"));
    expect(reply).toEqual({ kind: "promise", ballot: ballotOf("2.b"), accepted: null });
    expect(slot.promised).toEqual(ballotOf("2.b"));
    const taken = answer(contextOf(), slot, accept("2.b", VALUE)).slot;
    const later = answer(contextOf(), taken, prepare("3.c"));
    expect(later.reply).toMatchObject({
      kind: "promise",
      accepted: { ballot: ballotOf("2.b"), value: VALUE },
    });
    expect(later.slot.accepted).toBe(taken.accepted);
  });

  it("answers a prepare that comes twice alike and changes nothing the second time", () => {
    const slot = slotAfter(prepare("2.b"));
    const again = answer(contextOf(), slot, prepare("2.b"));
    expect(again.reply).toMatchObject({ kind: "promise" });
    expect(again.slot).toBe(slot);
  });

  it("refuses what is below its promise and says what that is", () => {
    const slot = slotAfter(prepare("3.b"));
    for (const request of [prepare("3.a"), prepare("2.c"), accept("2.c", VALUE), accept("3.a", VALUE)]) {
      const step = answer(contextOf(), slot, request);
      expect(step.reply).toEqual({ kind: "nack", code: "outdated", promised: ballotOf("3.b") });
      expect(step.slot).toBe(slot);
    }
  });

  it("orders ballots of one round by proposer", () => {
    expect(answer(contextOf(), slotAfter(prepare("3.a")), prepare("3.b")).reply.kind).toBe("promise");
  });

  it("accepts without a prepare what nothing higher was promised to", () => {
    const { reply, slot } = answer(contextOf(), slotAfter(prepare("1.c")), accept("2.b", VALUE));
    expect(reply).toMatchObject({ kind: "accepted", promised: ballotOf("2.b") });
    expect(slot.accepted).toMatchObject({ list: 3, ballot: ballotOf("2.b"), value: VALUE });
    expect(new TextDecoder().decode(slot.accepted?.signature)).toBe("app/hello 2.000b 1");
  });

  it("promises the next ballot with its vote, so that it needs no prepare", () => {
    const first = answer(contextOf(), EMPTY_SLOT, accept("2.b", VALUE, "3.b"));
    expect(first.reply).toMatchObject({ kind: "accepted", promised: ballotOf("3.b") });
    expect(answer(contextOf(), first.slot, prepare("3.a")).reply).toMatchObject({ code: "outdated" });
    const second = answer(contextOf(), first.slot, accept("3.b", valueAt(2, "3.b")));
    expect(second.reply).toMatchObject({ kind: "accepted", vote: { ballot: ballotOf("3.b") } });
  });

  it("does not promise a next ballot that is not above the one it accepts", () => {
    expect(slotAfter(accept("2.b", VALUE, "2.a")).promised).toEqual(ballotOf("2.b"));
  });

  it("repeats its vote for an accept that comes twice, also after it promised more", () => {
    const slot = slotAfter(accept("2.b", VALUE, "3.b"), prepare("4.c"));
    const again = answer(contextOf(), slot, accept("2.b", VALUE, "3.b"));
    expect(again.reply).toEqual({ kind: "accepted", vote: slot.accepted, promised: ballotOf("4.c") });
    expect(again.slot).toBe(slot);
  });

  it("refuses a second value at one ballot", () => {
    const slot = slotAfter(accept("2.b", VALUE));
    const step = answer(contextOf(), slot, accept("2.b", valueAt(1, "1.b")));
    expect(step).toEqual({ reply: { kind: "nack", code: "second-value" }, slot });
  });

  it("refuses a second value though it was first proposed at that ballot too: by a proposer that used it twice", () => {
    const slot = slotAfter(accept("2.b", valueAt(1, "2.b", "one")));
    expect(answer(contextOf(), slot, accept("2.b", valueAt(1, "2.b", "two")))).toEqual({
      reply: { kind: "nack", code: "second-value" },
      slot,
    });
  });

  it("refuses a second value at one ballot under a newer list too", () => {
    const slot = slotAfter(accept("2.b", VALUE));
    const list = listOf("abc", { number: 4 });
    const second = { ...accept("2.b", valueAt(1, "1.b")), list: 4 };
    expect(answer(contextOf({ list }), slot, second).reply).toMatchObject({ code: "second-value" });
  });

  it("votes anew under a newer list", () => {
    const slot = slotAfter(accept("2.b", VALUE));
    const list = listOf("abcd", { number: 4 });
    const request = { ...accept("3.b", VALUE), list: 4 };
    expect(answer(contextOf({ list }), slot, request).slot.accepted).toMatchObject({ list: 4 });
  });

  it("shows what it accepted to whom asks, and changes nothing", () => {
    const slot = slotAfter(accept("2.b", VALUE), prepare("5.c"));
    const step = answer(contextOf(), slot, { ...head, kind: "query" });
    expect(step).toEqual({ reply: { kind: "state", accepted: slot.accepted }, slot });
  });

  it("refuses a former list for good, and one that it does not know yet", () => {
    expect(answer(contextOf(), EMPTY_SLOT, prepare("2.b", 2))).toEqual({
      reply: { kind: "nack", code: "former-list", list: 3 },
      slot: EMPTY_SLOT,
    });
    expect(answer(contextOf(), EMPTY_SLOT, prepare("2.b", 4)).reply).toMatchObject({ code: "unknown-list" });
    const query = { register: REGISTER, list: 2, kind: "query" } as const;
    expect(answer(contextOf(), EMPTY_SLOT, query).reply).toMatchObject({ code: "former-list" });
  });

  it("takes ballots of voters only, answers nobody if it is none, and shows to anybody", () => {
    expect(answer(contextOf(), EMPTY_SLOT, prepare("2.d")).reply).toMatchObject({ code: "not-a-voter" });
    const former = contextOf({ self: idOf("d") });
    expect(answer(former, EMPTY_SLOT, prepare("2.b")).reply).toMatchObject({ code: "not-a-voter" });
    expect(answer(former, EMPTY_SLOT, { ...head, kind: "query" }).reply).toMatchObject({
      code: "not-a-voter",
    });
    expect(answer(contextOf(), EMPTY_SLOT, { ...head, kind: "query" }).reply.kind).toBe("state");
  });

  it("refuses a record that its release cannot read, and keeps what it has", () => {
    const context = contextOf({ refusal: (register) => `${register}: unknown field` });
    const slot = slotAfter(accept("2.b", VALUE));
    const step = answer(context, slot, accept("3.b", valueAt(2, "3.b")));
    expect(step.reply).toEqual({ kind: "nack", code: "invalid", reason: "app/hello: unknown field" });
    expect(step.slot).toBe(slot);
  });

  it("never goes back, has one value at a ballot, and changes nothing when it refuses", () => {
    const ballot = fc.tuple(fc.integer({ min: 1, max: 6 }), fc.constantFrom("a", "b"));
    const request = fc.tuple(fc.constantFrom("prepare", "accept"), ballot, fc.integer({ min: 0, max: 2 }));
    fc.assert(
      fc.property(fc.array(request, { maxLength: 30 }), (commands) => {
        const votes = new Map<string, RegisterValue>();
        let slot = EMPTY_SLOT;
        for (const [kind, [round, letter], ahead] of commands) {
          const text = `${round}.${letter}`;
          const next = ahead === 0 ? null : `${round + ahead}.${letter}`;
          // A proposer that errs: it proposes two values at one ballot.
          const value = valueAt(1 + ahead, text);
          const asked = kind === "prepare" ? prepare(text) : accept(text, value, next);
          const step = answer(contextOf(), slot, asked);
          if (step.reply.kind === "nack") expect(step.slot).toBe(slot);
          expect(compareBallots(step.slot.promised, slot.promised)).toBeGreaterThanOrEqual(0);
          expectInOrder(step.slot, slot);
          const vote = step.slot.accepted;
          if (vote !== null) expect(votes.get(keyOf(vote.ballot)) ?? vote.value).toEqual(vote.value);
          if (vote !== null) votes.set(keyOf(vote.ballot), vote.value);
          slot = step.slot;
        }
      }),
    );
  });
});

function expectInOrder(next: Slot, slot: Slot): void {
  if (next.accepted === null) expect(slot.accepted).toBeNull();
  else {
    expect(compareBallots(next.accepted.ballot, next.promised)).toBeLessThanOrEqual(0);
    const before = slot.accepted;
    if (before !== null)
      expect(compareBallots(next.accepted.ballot, before.ballot)).toBeGreaterThanOrEqual(0);
  }
}

function keyOf(ballot: Ballot): string {
  return describeBallot(ballot);
}
