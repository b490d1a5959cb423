// Gather seeds: whether the members that are asked first can be found, reached, and are who they should be.

import { type Greeting, greet } from "../../../mesh/index.ts";
import { type HostPort, parseHostPort, toMultiaddr } from "../../../mesh/keys.ts";
import type { Result } from "../../../mesh/words.ts";
import { DOCTOR_GREET_MS } from "../../limits.ts";
import { gatherNames, resolved } from "./gather-names.ts";
import { type ConnectFacts, tryConnect } from "./gather-ports.ts";
import { describeAddress, type Target } from "./target.ts";

export interface SeedFacts {
  readonly seed: string;
  /** It is this member's own address. */
  readonly isOwn: boolean;
  /** Why its name means nothing; null: it does. */
  readonly unresolved: string | null;
  /** null: not tried. */
  readonly connect: ConnectFacts | null;
  /** null: not asked. */
  readonly greeting: Result<Greeting> | null;
}

/** `withGreeting`: also who they are. It loads libp2p, half a second of CPU, so not where the mesh has met them already. */
export async function gatherSeeds(
  { seeds, own }: Pick<Target, "seeds" | "own">,
  { withGreeting }: { readonly withGreeting: boolean },
  signal: AbortSignal,
): Promise<readonly SeedFacts[]> {
  const parsed = seeds.flatMap((seed) => {
    const at = parseHostPort(seed);
    return at.ok ? [{ seed, at: at.value, isOwn: own.includes(seed) }] : [];
  });
  const others = parsed.filter(({ isOwn }) => !isOwn);
  const names = await gatherNames(
    others.map(({ at }) => at.host),
    signal,
  );
  const reached = await Promise.all(
    parsed.map(async ({ seed, at, isOwn }) => {
      const facts = { seed, isOwn, unresolved: null, connect: null, greeting: null };
      const found = resolved(at, names);
      if (isOwn) return { facts, address: null };
      if (!found.ok) return { facts: { ...facts, unresolved: found.code }, address: null };
      const connect = await tryConnect(found.address, signal);
      return { facts: { ...facts, connect }, address: connect.ok ? found.address : null };
    }),
  );
  return withGreeting ? greeted(reached, signal) : reached.map(({ facts }) => facts);
}

interface Reached {
  readonly facts: SeedFacts;
  /** Where it let us in. */
  readonly address: HostPort | null;
}

async function greeted(reached: readonly Reached[], signal: AbortSignal): Promise<readonly SeedFacts[]> {
  const open = reached.flatMap(({ facts, address }) => (address === null ? [] : [{ facts, address }]));
  const patience = AbortSignal.any([signal, AbortSignal.timeout(DOCTOR_GREET_MS)]);
  const addresses = open.map(({ address }) => toMultiaddr(describeAddress(address)));
  const greetings = await greet(addresses, patience);
  const bySeed = new Map(open.map(({ facts }, at) => [facts.seed, greetings[at] ?? null]));
  return reached.map(({ facts }) => ({ ...facts, greeting: bySeed.get(facts.seed) ?? null }));
}
