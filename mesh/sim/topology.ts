// Topology: who is connected to whom when all is well. A full mesh up to the connections that a member may have; beyond it
// a random graph of that degree.

/** Neighbours of each member, ascending. A ring keeps it in one piece; the rest are random matchings. */
export function neighbours(
  size: number,
  degreeMax: number,
  random: () => number,
): readonly (readonly number[])[] {
  const sets = Array.from({ length: size }, () => new Set<number>());
  const join = (left: number, right: number): void => {
    if (left === right || isFull(sets, left, degreeMax) || isFull(sets, right, degreeMax)) return;
    sets[left]?.add(right);
    sets[right]?.add(left);
  };
  if (degreeMax >= size - 1) {
    for (let left = 0; left < size; left += 1)
      for (let right = 0; right < left; right += 1) join(left, right);
  } else {
    for (let at = 0; at < size; at += 1) join(at, (at + 1) % size);
    // Each matching gives nearly everyone one more.
    for (let round = 0; round < degreeMax; round += 1) {
      const order = shuffled(size, random);
      for (let at = 0; at + 1 < size; at += 2) join(order[at] as number, order[at + 1] as number);
    }
  }
  return sets.map((set) => [...set].sort((left, right) => left - right));
}

function isFull(sets: readonly ReadonlySet<number>[], member: number, degreeMax: number): boolean {
  return (sets[member]?.size ?? 0) >= degreeMax;
}

function shuffled(size: number, random: () => number): readonly number[] {
  const order = Array.from({ length: size }, (_, at) => at);
  for (let last = size - 1; last > 0; last -= 1) {
    const other = Math.floor(random() * (last + 1));
    [order[last], order[other]] = [order[other] as number, order[last] as number];
  }
  return order;
}
