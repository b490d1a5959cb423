// Schedule: when which host writes, fixed beforehand by the seed: an open loop. Nobody waits for what was written before, so a
// system that falls behind is not asked for less. All systems of a round get the same schedule.

/** Before the counted writes, at the same rate: compiled code, warm caches, followers that were asked. */
const WARM_UP_SECONDS_MAX = 2;
/**
 * Between the last write of the warm-up and the first that counts. In it all members are asked for their books, which costs each some
 * tens of milliseconds of CPU: the first writes must not meet that (measured: they alone made the 99th percentile, at 180 ms).
 */
export const GAP_MS = 1_500;

interface PlannedWrite {
  /** Of the first write of the warm-up. */
  readonly atMs: number;
  readonly host: number;
}

export interface Plan {
  readonly writes: readonly PlannedWrite[];
  /** When the counted part begins and ends. */
  readonly fromMs: number;
  readonly toMs: number;
}

export interface PlanInput {
  readonly hosts: number;
  readonly rate: number;
  readonly seconds: number;
  readonly random: () => number;
}

/** In each interval of the rate one write, somewhere in it; each host once before any a second time, in an order of chance. */
export function planWrites({ hosts, rate, seconds, random }: PlanInput): Plan {
  const warmUpSeconds = Math.min(WARM_UP_SECONDS_MAX, seconds / 2);
  const warmUps = Math.ceil(rate * warmUpSeconds);
  const fromMs = warmUpSeconds * 1_000 + GAP_MS;
  const toMs = fromMs + seconds * 1_000;
  const nextHost = turns(hosts, random);
  const writes: PlannedWrite[] = [];
  for (let at = 0; at < warmUps + rate * seconds; at += 1) {
    const isCounted = at >= warmUps;
    const beginMs = isCounted ? fromMs + ((at - warmUps) * 1_000) / rate : (at * 1_000) / rate;
    writes.push({ atMs: beginMs + (random() * 1_000) / rate, host: nextHost() });
  }
  return { writes, fromMs, toMs };
}

function turns(hosts: number, random: () => number): () => number {
  let turn: number[] = [];
  return () => {
    if (turn.length === 0) turn = shuffled(hosts, random);
    return turn.pop() ?? 0;
  };
}

function shuffled(count: number, random: () => number): number[] {
  const list = Array.from({ length: count }, (_, at) => at);
  for (let at = count - 1; at > 0; at -= 1) {
    const other = Math.floor(random() * (at + 1));
    [list[at], list[other]] = [list[other] ?? 0, list[at] ?? 0];
  }
  return list;
}
