import { describe, expect, it } from "vitest";
import { decideSwap } from "./decide-swap.ts";

const proposal = { app: "hello", expectedEpoch: 3, recordApp: "hello", entryBytes: 10, entryBytesMax: 10 };

describe("decideSwap()", () => {
  it("commits the next epoch when the expected one stands", () => {
    expect(decideSwap(3, proposal)).toEqual({ code: "commit", epoch: 4 });
    expect(decideSwap(0, { ...proposal, expectedEpoch: 0 })).toEqual({ code: "commit", epoch: 1 });
  });
  it("is a conflict when another epoch stands, older or newer", () => {
    expect(decideSwap(4, proposal).code).toBe("conflict");
    expect(decideSwap(0, proposal).code).toBe("conflict");
  });
  it("refuses a record of another app and one that no entry can carry", () => {
    expect(decideSwap(3, { ...proposal, recordApp: "other" })).toMatchObject({ code: "refused" });
    expect(decideSwap(3, { ...proposal, entryBytes: 11 })).toMatchObject({ code: "refused" });
  });
});
