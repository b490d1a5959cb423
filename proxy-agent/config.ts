// Config: the keys of a proxy's configuration file. docs/config.md is the reference.

import { isIP } from "node:net";
import path from "node:path";
import { type ZodType, z } from "zod";
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
  told,
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
  http: told(hostPortShape({ example: httpExample, isPortZeroAllowed: true }).default("127.0.0.1:8080"), {
    type: "host:port",
    means: "Where clients reach it.",
  }),
  admin: told(
    hostPortShape({ example: 'admin = "127.0.0.1:0"', isPortZeroAllowed: true })
      .refine(isLoopback, adminText)
      .default("127.0.0.1:0"),
    { type: "host:port on loopback", means: "Status, routes, entries, metrics." },
  ),
  response_headers: told(z.boolean(responseHeadersText).default(true), {
    means:
      "Answers carry `grapevine-release` and `grapevine-vm`, and `grapevine-stale: 1` while the proxy is stale (below). Off: clients do not see which release served them, nor by how old a table.",
  }),
  gate_socket: told(z.string(gateSocketText).min(1, gateSocketText).max(1_024, gateSocketText).optional(), {
    type: "path",
    unset: "none",
    means:
      "`arms.sock` in the `state_dir` of the gate of the same host, at most 107 bytes, relative to this file; proxy and gate run as the same user and in the same network. The proxy then sends requests to VMs of this host without the gate (about half of what the gate adds is saved; `npm run bench:gate`). The price: while this process is stopped or hangs, no VM of this host can be taken out of service, and no exclusion helps; `status` names it. Not with agents and gates in containers of their own.",
  }),
});

/** What docs/config.md lists. */
export const proxyConfigKeys: ZodType = proxyConfigShape;

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
