// Config: the keys of a proxy's configuration file. docs/config.md is the reference.

import { isIP } from "node:net";
import path from "node:path";
import { z } from "zod";
import {
  type ConfigError,
  fail,
  type HostPort,
  hostPortShape,
  type MemberConfig,
  memberConfigShape,
  ok,
  parseHostPort,
  publicMemberConfig,
  type Result,
  readTomlFile,
  toMemberConfig,
} from "../mesh/index.ts";

export interface ProxyConfig extends MemberConfig {
  /** Where clients reach it. */
  readonly http: HostPort;
  /** Loopback only: it tells all and asks nobody who they are. */
  readonly admin: HostPort;
  /** Answers name release and VM. */
  readonly responseHeaders: boolean;
  /** Of the gate of the same host; null: there is none, or it is to be reached as any other. */
  readonly gateSocket: string | null;
}

const httpExample = 'http = "0.0.0.0:8080"';
const adminText = 'must be "host:port" on loopback, for example admin = "127.0.0.1:0"';
const gateSocketText = 'must be the path of a socket, for example gate_socket = "../gate/state/arms.sock"';
const responseHeadersText = "must be true or false, for example response_headers = false";

const proxyConfigShape = z.strictObject({
  ...memberConfigShape,
  http: hostPortShape({ example: httpExample, isPortZeroAllowed: true }).default("127.0.0.1:8080"),
  admin: hostPortShape({ example: 'admin = "127.0.0.1:0"', isPortZeroAllowed: true })
    .refine(isLoopback, adminText)
    .default("127.0.0.1:0"),
  response_headers: z.boolean(responseHeadersText).default(true),
  gate_socket: z.string(gateSocketText).min(1, gateSocketText).max(1_024, gateSocketText).optional(),
});

export function readProxyConfig(file: string): Result<ProxyConfig, readonly ConfigError[]> {
  const read = readTomlFile(file, proxyConfigShape);
  if (!read.ok) return fail(read.error);
  const { http, admin, response_headers, gate_socket, ...member } = read.value;
  return ok({
    ...toMemberConfig(member, file),
    http: validated(http),
    admin: validated(admin),
    responseHeaders: response_headers,
    gateSocket: gate_socket === undefined ? null : path.resolve(path.dirname(file), gate_socket),
  });
}

/** What may be told to anybody, key by key: one that is a secret some day is not told because nobody thought of it. */
export function publicConfig(config: ProxyConfig): object {
  const { http, admin, responseHeaders, gateSocket } = config;
  return { ...publicMemberConfig(config), http, admin, responseHeaders, gateSocket };
}

function isLoopback(text: string): boolean {
  const parsed = parseHostPort(text);
  if (!parsed.ok) return false;
  const { host } = parsed.value;
  return host === "localhost" || host === "::1" || (isIP(host) === 4 && host.startsWith("127."));
}

function validated(text: string): HostPort {
  const parsed = parseHostPort(text);
  if (!parsed.ok) throw new Error(`config: ${parsed.error}`);
  return parsed.value;
}
