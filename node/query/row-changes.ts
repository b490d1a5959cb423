// Row changes: what became of a result: rows that came, went, or changed. A row that went and one that came are one that
// changed if they alone have the same first column: that is what people put there.

/** Rows are JSON arrays, as text. */
export type RowChange =
  | { readonly kind: "added"; readonly row: string }
  | { readonly kind: "removed"; readonly row: string }
  | { readonly kind: "changed"; readonly from: string; readonly to: string };

/** What went, in the old order; then what changed and came, in the new. Rows that are there several times are counted. */
export function diffRows(before: readonly string[], now: readonly string[]): readonly RowChange[] {
  const removed = without(before, now);
  const added = without(now, before);
  const successors = pair(removed, added);
  const replaced = new Map([...successors].map(([from, to]) => [to, from]));
  return [
    ...removed.filter((row) => !successors.has(row)).map((row) => ({ kind: "removed", row }) as const),
    ...added.map((row) => {
      const from = replaced.get(row);
      return from === undefined
        ? ({ kind: "added", row } as const)
        : ({ kind: "changed", from, to: row } as const);
    }),
  ];
}

/** Those of `rows` that are not in `others`, as often as they are more. */
function without(rows: readonly string[], others: readonly string[]): readonly string[] {
  const counts = new Map<string, number>();
  for (const row of others) counts.set(row, (counts.get(row) ?? 0) + 1);
  return rows.filter((row) => {
    const count = counts.get(row) ?? 0;
    if (count > 0) counts.set(row, count - 1);
    return count === 0;
  });
}

/** From each row that went to the one that came in its place. */
function pair(removed: readonly string[], added: readonly string[]): ReadonlyMap<string, string> {
  const [goneByKey, newByKey] = [byFirstColumn(removed), byFirstColumn(added)];
  const pairs = [...goneByKey].flatMap(([key, gone]) => {
    const come = newByKey.get(key) ?? [];
    const [from, to] = [gone[0], come[0]];
    const isOne = gone.length === 1 && come.length === 1 && from !== undefined && to !== undefined;
    return isOne ? [[from, to] as const] : [];
  });
  return new Map(pairs);
}

function byFirstColumn(rows: readonly string[]): ReadonlyMap<string, readonly string[]> {
  const groups = new Map<string, string[]>();
  for (const row of rows) {
    const [first] = JSON.parse(row) as readonly unknown[];
    const key = JSON.stringify(first);
    const group = groups.get(key);
    if (group === undefined) groups.set(key, [row]);
    else group.push(row);
  }
  return groups;
}
