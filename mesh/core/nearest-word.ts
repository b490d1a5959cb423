// Nearest word: what somebody probably meant who wrote a word that is not known.

/** The known word that `word` was probably meant to be. */
export function nearestWord(word: string, known: readonly string[]): string | undefined {
  const distanceMax = word.length < 4 ? 1 : Math.max(2, Math.floor(word.length / 3));
  const ranked = known
    .map((candidate) => ({ candidate, distance: editDistance(word.toLowerCase(), candidate) }))
    .filter(({ candidate, distance }) => distance <= distanceMax || isStartOf(word, candidate))
    .sort((left, right) => left.distance - right.distance);
  return ranked[0]?.candidate;
}

/** "grace" for "grace_period". */
function isStartOf(word: string, candidate: string): boolean {
  return word.length >= 3 && candidate.startsWith(word.toLowerCase());
}

function editDistance(from: string, to: string): number {
  if (Math.abs(from.length - to.length) > 8) return Number.POSITIVE_INFINITY;
  let previous = Array.from({ length: to.length + 1 }, (_, index) => index);
  for (let row = 1; row <= from.length; row++) {
    const current = [row];
    for (let column = 1; column <= to.length; column++) {
      const swap = (previous[column - 1] ?? 0) + Number(from[row - 1] !== to[column - 1]);
      current.push(Math.min(swap, (previous[column] ?? 0) + 1, (current[column - 1] ?? 0) + 1));
    }
    previous = current;
  }
  return previous[to.length] ?? 0;
}
