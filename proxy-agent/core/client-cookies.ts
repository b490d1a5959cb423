// Client cookies: what a client brings back of the answers that it had. The name has the app, the epoch by which the request was sent, and
// the release that answered: of two answers that come together neither takes the place of the other, and the one that is further on counts.

import type { AppName } from "../../mesh/index.ts";
import { PLACES, rankIn, type StickyClient, type StickyRoute } from "./sticky.ts";

const PREFIX = "grapevine.";
/** Of one client; more are of somebody who makes them up. */
const COOKIES_MAX = 32;
const NAME = /^grapevine\.([a-z0-9-]{1,64})\.(\d{1,15})\.(\d{1,15})$/;
const STICKY_VALUE = /^(\d{1,9})\.(\d{1,4})$/;
const PIN_VALUE = "page";
/** A client that comes back later is one that was never there. */
const STICKY_MAX_AGE_S = 7 * 24 * 3_600;

/** One of ours. */
export interface ClientCookie {
  readonly app: string;
  /** Of the record by which that request was sent. */
  readonly epoch: number;
  /** The release that answered it. */
  readonly release: number;
  /** Null: of a page. */
  readonly sticky: { readonly backs: number; readonly place: number } | null;
}

/** Those of `app` that are whole. `raw`: headers, flat. */
export function readClientCookies(raw: readonly string[], app: AppName): readonly ClientCookie[] {
  const found: ClientCookie[] = [];
  for (const header of cookieHeaders(raw)) {
    if (!header.includes(PREFIX)) continue;
    for (const pair of header.split(";")) {
      const cookie = readPair(pair.trim());
      if (cookie?.app === app && found.length < COOKIES_MAX) found.push(cookie);
    }
  }
  return found;
}

/** Value of a `Cookie` header without ours, of whatever app; null: nothing is left. */
export function withoutClientCookies(header: string): string | null {
  if (!header.includes(PREFIX)) return header;
  const kept = header.split(";").filter((pair) => !NAME.test(pair.split("=")[0]?.trim() ?? ""));
  const text = kept.join(";").trim();
  return text === "" ? null : text;
}

/** What a sticky client shows. `place`: of one that shows none. */
export function stickyClient(
  cookies: readonly ClientCookie[],
  route: StickyRoute,
  place: number,
): StickyClient {
  const rank = ({ release }: ClientCookie) => rankIn(route, release);
  const further = (left: ClientCookie, right: ClientCookie) =>
    rank(right) === rank(left) ? right.epoch - left.epoch : rank(right) > rank(left) ? 1 : -1;
  const known = cookies.filter(({ sticky }) => sticky !== null);
  const serves = ({ release }: ClientCookie) => route.shares.some((share) => share.release === release);
  const binding = known.filter((cookie) => cookie.sticky?.backs === route.backs && serves(cookie));
  const [furthest] = [...binding].sort(further);
  const [latest] = [...known].sort((left, right) => right.epoch - left.epoch);
  return {
    place: (furthest ?? latest)?.sticky?.place ?? place,
    floor: furthest?.release ?? null,
  };
}

/** The page that a client has open last; null: none. */
export function pageOf(cookies: readonly ClientCookie[]): ClientCookie | null {
  const pages = cookies.filter(({ sticky }) => sticky === null);
  return pages.sort((left, right) => right.epoch - left.epoch || right.release - left.release)[0] ?? null;
}

/** Values of `Set-Cookie` after which a client shows `next` and none of `before`. Empty: it does already. */
export function setClientCookie(
  next: ClientCookie,
  before: readonly ClientCookie[],
  pageMaxAgeMs: number,
): readonly string[] {
  const maxAgeS = next.sticky === null ? Math.ceil(pageMaxAgeMs / 1_000) : STICKY_MAX_AGE_S;
  const isHeld = (cookie: ClientCookie) => nameIn(cookie) === nameIn(next);
  // A page's counts from its own navigation on.
  const isSame = next.sticky !== null && before.some((one) => isHeld(one) && valueIn(one) === valueIn(next));
  const gone = before
    .filter((cookie) => !isHeld(cookie))
    .map((cookie) => `${nameIn(cookie)}=${attributes(0)}`);
  return [...(isSame ? [] : [`${nameIn(next)}=${valueIn(next)}${attributes(maxAgeS)}`]), ...gone];
}

function attributes(maxAgeS: number): string {
  return `; Max-Age=${maxAgeS}; Path=/; HttpOnly; SameSite=Lax`;
}

function nameIn({ app, epoch, release }: ClientCookie): string {
  return `${PREFIX}${app}.${epoch}.${release}`;
}

function valueIn({ sticky }: ClientCookie): string {
  return sticky === null ? PIN_VALUE : `${sticky.backs}.${sticky.place}`;
}

function readPair(pair: string): ClientCookie | null {
  const at = pair.indexOf("=");
  const name = NAME.exec(pair.slice(0, at));
  if (name === null) return null;
  const [, app = "", epoch, release] = name;
  const named = { app, epoch: Number(epoch), release: Number(release) };
  const value = pair.slice(at + 1);
  if (value === PIN_VALUE) return { ...named, sticky: null };
  const [, backs, place = PLACES] = STICKY_VALUE.exec(value) ?? [];
  return Number(place) < PLACES ? { ...named, sticky: { backs: Number(backs), place: Number(place) } } : null;
}

function* cookieHeaders(raw: readonly string[]): Generator<string> {
  for (let index = 0; index + 1 < raw.length; index += 2) {
    if (raw[index]?.length === 6 && raw[index]?.toLowerCase() === "cookie") yield raw[index + 1] ?? "";
  }
}

/**
 * It asks for a page, and not for something that a page loads: by what browsers say of it, of a client that says nothing by what it takes.
 * A frame is part of the page that it is in.
 */
export function isNavigation(method: string, header: (name: string) => string | undefined): boolean {
  if (method !== "GET" && method !== "POST") return false;
  const dest = header("sec-fetch-dest");
  const mode = header("sec-fetch-mode");
  if (dest !== undefined) return dest === "document";
  if (mode !== undefined) return mode === "navigate";
  return (header("accept") ?? "").includes("text/html");
}
