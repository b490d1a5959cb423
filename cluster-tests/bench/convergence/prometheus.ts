// Prometheus: reads back what a member exports, and what a histogram there says of the time between two looks.

/** Each sample by its name with its labels. */
export type CounterText = ReadonlyMap<string, number>;

export function readCounters(text: string): CounterText {
  const samples = text.split("\n").filter((line) => line !== "" && !line.startsWith("#"));
  return new Map(
    samples.map((line) => {
      const end = line.lastIndexOf(" ");
      return [line.slice(0, end), Number(line.slice(end + 1))];
    }),
  );
}

export interface Bucket {
  readonly upToSeconds: number;
  /** Cumulative. */
  readonly count: number;
}

/** Of several members together, from one look of each to a later one. */
export function bucketsBetween(
  name: string,
  looks: readonly { readonly before: CounterText; readonly after: CounterText }[],
): readonly Bucket[] {
  const pattern = new RegExp(`^${name}_bucket\\{le="([^"]+)"\\}$`);
  const sums = new Map<number, number>();
  for (const { before, after } of looks) {
    for (const [sample, count] of after) {
      const bound = pattern.exec(sample)?.[1];
      if (bound === undefined) continue;
      const upTo = bound === "+Inf" ? Number.POSITIVE_INFINITY : Number(bound);
      sums.set(upTo, (sums.get(upTo) ?? 0) + count - (before.get(sample) ?? 0));
    }
  }
  return [...sums]
    .toSorted(([left], [right]) => left - right)
    .map(([upToSeconds, count]) => ({ upToSeconds, count }));
}

/** As Prometheus does it: even within the bucket. Null: nothing was counted. */
export function quantileMs(buckets: readonly Bucket[], share: number): number | null {
  const total = buckets.at(-1)?.count ?? 0;
  if (total === 0) return null;
  const rank = share * total;
  const at = buckets.findIndex(({ count }) => count >= rank);
  const [bucket, below] = [buckets[at], buckets[at - 1]];
  if (bucket === undefined || bucket.upToSeconds === Number.POSITIVE_INFINITY)
    return (below?.upToSeconds ?? 0) * 1_000;
  const [from, under] = [below?.upToSeconds ?? 0, below?.count ?? 0];
  const within = (rank - under) / Math.max(1, bucket.count - under);
  return (from + (bucket.upToSeconds - from) * within) * 1_000;
}
