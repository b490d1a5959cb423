import { describe, expect, it } from "vitest";
import { EMPTY_SLOT, type Slot } from "./acceptor.ts";
import { beginSettling, nextStep, recommitted, showed, showRegisters, VOTERS_REGISTER } from "./settle.ts";
import { ballotOf, idOf, listOf, valueAt } from "./testing/voters.ts";

const LIST = listOf("abcd", { number: 2, isSettled: false });

function slotWith(value: boolean): Slot {
  if (!value) return { ...EMPTY_SLOT, promised: ballotOf("3.a") };
  const vote = { list: 1, ballot: ballotOf("1.a"), value: valueAt(1, "1.a"), signature: new Uint8Array() };
  return { promised: ballotOf("3.a"), accepted: vote };
}

describe("showRegisters()", () => {
  const slots = [
    ["app/one", slotWith(true)],
    ["app/two", slotWith(false)],
    [VOTERS_REGISTER, slotWith(true)],
  ] as const;

  it("names all registers in which anything was accepted, under whatever list", () => {
    expect(showRegisters({ self: idOf("a"), list: LIST }, 2, slots)).toEqual({
      kind: "registers",
      names: ["app/one", VOTERS_REGISTER],
    });
  });

  it("answers under the list that the voter goes by, and under no other", () => {
    const context = { self: idOf("a"), list: LIST };
    expect(showRegisters(context, 1, slots)).toMatchObject({ code: "former-list", list: 2 });
    expect(showRegisters(context, 3, slots)).toMatchObject({ code: "unknown-list" });
    expect(showRegisters({ ...context, self: idOf("e") }, 2, slots)).toMatchObject({ code: "not-a-voter" });
  });
});

describe("Settling", () => {
  it("asks until a majority of the list has said what it has", () => {
    let settling = beginSettling(LIST);
    expect(nextStep(settling)).toEqual({ kind: "ask", voters: ["a", "b", "c", "d"].map(idOf) });
    settling = showed(settling, idOf("b"), []);
    settling = showed(settling, idOf("b"), []);
    settling = showed(settling, idOf("c"), []);
    expect(nextStep(settling)).toEqual({ kind: "ask", voters: [idOf("a"), idOf("d")] });
  });

  it("counts nobody who is not of the list", () => {
    const settling = ["a", "b", "e"].reduce(
      (one, letter) => showed(one, idOf(letter), []),
      beginSettling(LIST),
    );
    expect(nextStep(settling).kind).toBe("ask");
    expect(showed(beginSettling(LIST), idOf("e"), ["app/one"]).registers.size).toBe(0);
  });

  it("commits anew what anybody has, each under this list, and marks it as settled then", () => {
    let settling = showed(beginSettling(LIST), idOf("a"), ["app/one", VOTERS_REGISTER]);
    settling = showed(settling, idOf("b"), ["app/one", "app/two"]);
    settling = showed(settling, idOf("d"), []);
    const registers = ["app/one", VOTERS_REGISTER, "app/two"];
    expect(nextStep(settling)).toEqual({ kind: "recommit", registers });
    settling = recommitted(settling, "app/one", 2);
    // It was committed, but under the list before.
    settling = recommitted(settling, VOTERS_REGISTER, 1);
    settling = recommitted(settling, "app/two", 2);
    expect(nextStep(settling)).toEqual({ kind: "recommit", registers: [VOTERS_REGISTER] });
    settling = recommitted(settling, VOTERS_REGISTER, 2);
    expect(nextStep(settling)).toEqual({ kind: "mark", list: { ...LIST, isSettled: true } });
  });

  it("takes in what a voter shows after others were committed", () => {
    let settling = ["a", "b", "c"].reduce(
      (one, letter) => showed(one, idOf(letter), []),
      beginSettling(LIST),
    );
    expect(nextStep(settling).kind).toBe("mark");
    settling = showed(settling, idOf("d"), ["app/late"]);
    expect(nextStep(settling)).toEqual({ kind: "recommit", registers: ["app/late"] });
  });
});
