// Header rules: what passes the proxy and what it adds. Headers are flat lists (name, value, name, value, …) as they were on
// the wire: case, order and repeats stay.

import { withoutClientCookies } from "./client-cookies.ts";
import { GATE_HEADER } from "./gate-headers.ts";

/**
 * Meant for one connection, not for the request (RFC 9110 section 7.6.1). `expect` is answered here. `trailer` goes with the
 * framing: where ours is not chunked (HEAD, HTTP/1.0) nothing may be announced, and trailers need no announcement.
 */
const HOP_BY_HOP = new Set([
  "connection",
  "keep-alive",
  "proxy-connection",
  "te",
  "trailer",
  "transfer-encoding",
  "upgrade",
  "expect",
  "http2-settings",
  // Between a proxy and a gate: no client may say it, no app may answer it.
  GATE_HEADER,
]);
/** A client must not have these taken away from the app by naming them in `Connection`. */
const PROTECTED = new Set(["host", "content-length", "content-type", "authorization", "cookie"]);

export interface ClientFacts {
  readonly address: string;
  readonly host: string;
  readonly isUpgrade: boolean;
}

export function requestHeaders(raw: readonly string[], client: ClientFacts): string[] {
  const named = namedInConnection(raw);
  const passed: string[] = [];
  const forwarded: string[] = [];
  const seen = new Set<string>();
  for (let index = 0; index + 1 < raw.length; index += 2) {
    const name = raw[index] ?? "";
    const value = raw[index + 1] ?? "";
    const lower = name.toLowerCase();
    if (lower === "x-forwarded-for") {
      forwarded.push(value);
      continue;
    }
    if (HOP_BY_HOP.has(lower) || isTaken(lower, named)) continue;
    const own = lower === "cookie" ? withoutClientCookies(value) : value;
    if (own === null) continue;
    // Of an absolute-form target the host counts that it names (RFC 9112 section 3.2.2).
    passed.push(name, lower === "host" ? client.host : own);
    seen.add(lower);
  }
  if (!seen.has("host")) passed.push("Host", client.host);
  passed.push("X-Forwarded-For", [...forwarded, client.address].join(", "));
  if (!seen.has("x-forwarded-proto")) passed.push("X-Forwarded-Proto", "http");
  if (!seen.has("x-forwarded-host")) passed.push("X-Forwarded-Host", client.host);
  if (client.isUpgrade) passed.push("Connection", "Upgrade", "Upgrade", "websocket");
  return passed;
}

/** `added` replaces what the app says under the same names. */
export function responseHeaders(raw: readonly string[], added: Readonly<Record<string, string>>): string[] {
  const named = namedInConnection(raw);
  const passed: string[] = [];
  for (let index = 0; index + 1 < raw.length; index += 2) {
    const name = raw[index] ?? "";
    const lower = name.toLowerCase();
    if (HOP_BY_HOP.has(lower) || isTaken(lower, named) || Object.hasOwn(added, lower)) continue;
    passed.push(name, raw[index + 1] ?? "");
  }
  for (const [name, value] of Object.entries(added)) passed.push(name, value);
  return passed;
}

/** Trailers that may follow: framing and routing fields never do (RFC 9110 section 6.5.1). */
export function trailerPairs(raw: readonly string[]): [string, string][] {
  const pairs: [string, string][] = [];
  for (let index = 0; index + 1 < raw.length; index += 2) {
    const lower = (raw[index] ?? "").toLowerCase();
    if (!HOP_BY_HOP.has(lower) && !PROTECTED.has(lower)) pairs.push([raw[index] ?? "", raw[index + 1] ?? ""]);
  }
  return pairs;
}

export function countHeader(raw: readonly string[], lowerName: string): number {
  let count = 0;
  for (let index = 0; index < raw.length; index += 2) {
    if (raw[index]?.toLowerCase() === lowerName) count += 1;
  }
  return count;
}

function isTaken(lower: string, named: ReadonlySet<string> | null): boolean {
  return (named?.has(lower) ?? false) && !PROTECTED.has(lower) && !lower.startsWith("x-forwarded-");
}

/** Null: none beside the usual, which is what nearly every request says. */
function namedInConnection(raw: readonly string[]): ReadonlySet<string> | null {
  let named: Set<string> | null = null;
  for (let index = 0; index + 1 < raw.length; index += 2) {
    if (raw[index]?.length !== 10 || raw[index]?.toLowerCase() !== "connection") continue;
    const value = (raw[index + 1] ?? "").toLowerCase();
    if (value === "keep-alive" || value === "close") continue;
    named ??= new Set();
    for (const token of value.split(",")) named.add(token.trim());
  }
  return named;
}
