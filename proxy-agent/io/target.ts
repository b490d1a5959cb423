// Target: where a request wants to go: host and path, from its request line and its Host header.

import type { IncomingMessage } from "node:http";
import { fail, ok, type Result } from "../../mesh/index.ts";
import { countHeader } from "../core/header-rules.ts";
import { hostnameOf } from "../core/match-route.ts";

export interface Target {
  /** As the VM shall see it: "hello.localhost:8080". */
  readonly host: string;
  /** What is matched: "hello.localhost". */
  readonly hostname: string;
  /** In origin form: "/a?b". */
  readonly path: string;
}

/** An absolute-form target ("GET http://host/path") names the host itself (RFC 9112 section 3.2.2). */
export function targetOf(request: IncomingMessage): Result<Target> {
  const { url = "", headers, rawHeaders } = request;
  // Whoever sees two of them may see another one than we do.
  if (countHeader(rawHeaders, "host") > 1) return fail("more than one Host header");
  if (url.startsWith("/")) return targetAt(headers.host ?? "", url);
  const [, host, path] = /^http:\/\/([^/?#@]+)(\/[^#]*|\?[^#]*)?$/i.exec(url) ?? [];
  if (host === undefined) return fail("the target of the request is neither a path nor an http:// address");
  const rest = path ?? "/";
  return targetAt(host, rest.startsWith("/") ? rest : `/${rest}`);
}

/**
 * What node's parser lets through, and what others may take for the end of a body elsewhere: codings beside "chunked", which
 * would be lost on the way to the VM, and any coding in HTTP/1.0 (RFC 9112 sections 6.1 and 6.3). Null: nothing.
 */
export function framingFault({ headers, httpVersion }: IncomingMessage): string | null {
  const coding = headers["transfer-encoding"];
  if (coding === undefined) return null;
  if (httpVersion === "1.0") return "Transfer-Encoding in an HTTP/1.0 request";
  return coding.toLowerCase() === "chunked" ? null : "a Transfer-Encoding other than chunked";
}

function targetAt(host: string, path: string): Result<Target> {
  return ok({ host, hostname: hostnameOf(host), path });
}
