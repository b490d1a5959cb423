import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { diffRows } from "./row-changes.ts";

const row = (...cells: readonly unknown[]): string => JSON.stringify(cells);

describe("diffRows()", () => {
  it("tells rows that came, went and changed", () => {
    const before = [row("a", 1), row("b", 1), row("c", 1)];
    const now = [row("d", 1), row("a", 2), row("c", 1)];
    expect(diffRows(before, now)).toEqual([
      { kind: "removed", row: row("b", 1) },
      { kind: "added", row: row("d", 1) },
      { kind: "changed", from: row("a", 1), to: row("a", 2) },
    ]);
  });

  it("calls nothing a change that is not one for one", () => {
    const found = diffRows([row("a", 1), row("a", 2)], [row("a", 3)]);
    expect(found.map(({ kind }) => kind)).toEqual(["removed", "removed", "added"]);
  });

  it("tells nothing of another order, and counts rows that are there several times", () => {
    expect(diffRows([row(1), row(2)], [row(2), row(1)])).toEqual([]);
    expect(diffRows([row(1), row(1)], [row(1)])).toEqual([{ kind: "removed", row: row(1) }]);
  });

  it("leads from any result to any other", () => {
    const rows = fc.array(
      fc.tuple(fc.nat(3), fc.nat(2)).map((cells) => row(...cells)),
      { maxLength: 12 },
    );
    fc.assert(
      fc.property(rows, rows, (before, now) => {
        const result = [...before];
        const remove = (text: string): void => {
          expect(result).toContain(text);
          result.splice(result.indexOf(text), 1);
        };
        for (const change of diffRows(before, now)) {
          if (change.kind === "added") result.push(change.row);
          else if (change.kind === "removed") remove(change.row);
          else {
            remove(change.from);
            result.push(change.to);
          }
        }
        expect(result.sort()).toEqual([...now].sort());
      }),
    );
  });
});
