// Sticky: which release a client gets while requests are split. A client has a place, 0 to 9999; the newest release has the places from 0
// on, as many as its share, then the next older one: the same on every proxy that goes by the same record, and whoever got the newer
// release gets it at any larger share too. What it saw already is its floor, so that shares by the count of VMs cannot send it back.

import { type AppRecord, clientsRelease, isUnderWay, pinMaxAgeMs, weightOf } from "../../mesh/index.ts";
import { type Choice, pickEndpoint, rankOfBest } from "./pick-endpoint.ts";
import type { Endpoint } from "./route-table.ts";

export const PLACES = 10_000;

/** What an app's record says of its clients. */
export type ClientsRoute =
  | {
      readonly mode: "sticky";
      /** As in the record: a floor of an earlier count binds nobody. */
      readonly backs: number;
      /** Releases that get requests, the newest first. */
      readonly shares: readonly Share[];
      /** The release that a rollout goes back to: nobody who got it leaves it for a newer one. Null: newer ones are further on. */
      readonly top: number | null;
    }
  | {
      readonly mode: "pinned";
      readonly maxAgeMs: number;
      /** Old VMs that only pins reach. */
      readonly kept: readonly Endpoint[];
    };

export type StickyRoute = Extract<ClientsRoute, { mode: "sticky" }>;

/** It has the places below `end` that none before it has. */
interface Share {
  readonly release: number;
  readonly end: number;
}

export interface StickyClient {
  readonly place: number;
  /** Of the releases that get requests the one furthest on that answered it; null: none did, or it may go back. */
  readonly floor: number | null;
}

/** `kept`: endpoints of the VMs that `isPinned`. */
export function clientsRouteOf(record: AppRecord, kept: readonly Endpoint[]): ClientsRoute | null {
  const release = clientsRelease(record);
  if (release === null) return null;
  const maxAgeMs = pinMaxAgeMs(release.spec.deploy);
  if (maxAgeMs !== null) return { mode: "pinned", maxAgeMs, kept };
  return { mode: "sticky", backs: record.backs ?? 0, shares: sharesOf(record), top: topOf(record) };
}

/** Of the record alone: what this proxy knows of the VMs beside it changes no client's release. */
function sharesOf({ vms, weights }: AppRecord): readonly Share[] {
  // What opens serves as soon as it is healthy, and there is none beside it but of its release.
  const serving = vms
    .filter(({ phase }) => phase === "serving" || phase === "opening")
    .map(({ release }) => release);
  const weigh = (release: number) =>
    weights === undefined ? serving.filter((one) => one === release).length : weightOf(weights, release);
  const releases = [...new Set(serving)].sort((left, right) => right - left);
  const having = releases.filter((release) => weigh(release) > 0);
  const sum = having.reduce((total, release) => total + weigh(release), 0);
  let before = 0;
  return having.map((release) => {
    before += weigh(release);
    return { release, end: Math.floor((PLACES * before) / sum) };
  });
}

function topOf({ rollout, vms }: AppRecord): number | null {
  if (!isUnderWay(rollout) || rollout?.kind !== "deploy") return null;
  const towards = rollout.direction === "forward" ? rollout.to : rollout.from;
  const isNewer = vms.some(({ phase, release }) => phase === "serving" && release > (towards ?? 0));
  return towards !== null && isNewer ? towards : null;
}

/** How far on a release is: no client with a floor goes to one that is less far. */
export function rankIn({ top }: Pick<StickyRoute, "top">, release: number): number {
  return release === top ? Number.POSITIVE_INFINITY : release;
}

/**
 * A client without a floor yields to what is able, as any request does. One with a floor is sent to no release that is less far on, be
 * nobody else there.
 */
export function pickSticky(
  { clients, endpoints }: { readonly clients: StickyRoute; readonly endpoints: readonly Endpoint[] },
  client: StickyClient,
  choice: Choice,
): Endpoint | undefined {
  const { shares } = clients;
  const { floor } = client;
  const rank = (release: number) => rankIn(clients, release);
  const may = shares.filter(({ release }) => floor === null || rank(release) >= rank(floor));
  const own = shares.find(({ end }) => client.place < end)?.release;
  const wanted = may.some(({ release }) => release === own) ? own : floor;
  const left = endpoints.filter(
    ({ vm, release }) => !choice.tried.has(vm) && may.some((share) => share.release === release),
  );
  const of = (release: number | null | undefined) => left.filter((one) => one.release === release);
  const best = rankOfBest(left, choice);
  const able = may.filter(
    ({ release }) => of(release).length > 0 && rankOfBest(of(release), choice) === best,
  );
  const isAble = able.some(({ release }) => release === wanted);
  return pickEndpoint(of(isAble ? wanted : able[0]?.release), choice);
}

/** Of a client that has shown none yet: the same on every proxy. FNV-1a, finished by an avalanche. */
export function placeOf(words: readonly string[]): number {
  let hash = 0x811c9dc5;
  const text = words.join("\n");
  for (let at = 0; at < text.length; at += 1) hash = Math.imul(hash ^ text.charCodeAt(at), 0x01000193);
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return ((hash ^ (hash >>> 16)) >>> 0) % PLACES;
}
