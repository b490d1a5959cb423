// The one place where a simulated member's replica is made: what the real shell passes, with stand-ins for the costly parts.

import type { OwnerId } from "../core/ids.ts";
import { ALL_PROTECTIONS } from "../core/protections.ts";
import { Replica } from "../core/replica.ts";
import type { Start } from "../core/version.ts";
import { type BreakName, breakOf } from "./breaks.ts";
import { standInCrypto } from "./stand-in-crypto.ts";

export interface NewReplica {
  readonly self: OwnerId;
  readonly start: Start;
  readonly random: () => number;
  /** Virtual time until tombstones may be collected. */
  readonly tombstoneGraceMs: number;
  readonly broken: BreakName | undefined;
}

export function newReplica({ self, start, random, tombstoneGraceMs, broken }: NewReplica): Replica {
  const off = (broken === undefined ? [] : breakOf(broken).coreSwitches).map((name) => [name, false]);
  const protections = { ...ALL_PROTECTIONS, ...Object.fromEntries(off) };
  return new Replica({ self, start, tombstoneGraceMs, protections }, { random, ...standInCrypto(self) });
}
