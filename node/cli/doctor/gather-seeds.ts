// Gather seeds: whether the members that are asked first can be found, reached, and are who they should be.

import { lookup } from "node:dns/promises";
import { isIP } from "node:net";
import { type Greeting, greet, parseHostPort, type Result, toMultiaddr } from "../../../mesh/index.ts";
import { DOCTOR_CONNECT_MS, DOCTOR_GREET_MS } from "../../limits.ts";
import { type ConnectFacts, tryConnect } from "./gather-ports.ts";
import type { Target } from "./target.ts";

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
  const reached = await Promise.all(seeds.map((seed) => reach(seed, own.includes(seed), signal)));
  if (!withGreeting) return reached;
  const open = reached.filter(({ connect }) => connect?.ok === true).map(({ seed }) => seed);
  const patience = AbortSignal.any([signal, AbortSignal.timeout(DOCTOR_GREET_MS)]);
  const greetings = await greet(open.map(toMultiaddr), patience);
  return reached.map((facts) => ({ ...facts, greeting: greetings[open.indexOf(facts.seed)] ?? null }));
}

async function reach(seed: string, isOwn: boolean, signal: AbortSignal): Promise<SeedFacts> {
  const facts = { seed, isOwn, unresolved: null, connect: null, greeting: null };
  const parsed = parseHostPort(seed);
  if (isOwn || !parsed.ok) return facts;
  const unresolved = isIP(parsed.value.host) === 0 ? await resolveFault(parsed.value.host) : null;
  if (unresolved !== null) return { ...facts, unresolved };
  return { ...facts, connect: await tryConnect(parsed.value, signal) };
}

/** getaddrinfo cannot be interrupted: whoever waits for it goes on without. */
async function resolveFault(name: string): Promise<string | null> {
  const { promise: late, resolve } = Promise.withResolvers<string>();
  const timer = setTimeout(() => resolve("timeout"), DOCTOR_CONNECT_MS);
  const asked = lookup(name).then(
    () => null,
    (error: NodeJS.ErrnoException) => error.code ?? error.message,
  );
  try {
    return await Promise.race([asked, late]);
  } finally {
    clearTimeout(timer);
  }
}
