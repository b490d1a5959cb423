// Target: which member of this machine is looked at, as its configuration says, whether or not it runs.

import path from "node:path";
import { type ConfigError, type HostPort, parseHostPort } from "../../../mesh/keys.ts";
import { ok, type Result } from "../../../mesh/words.ts";
import { type AgentConfig, readAgentConfig } from "../../config/agent-config.ts";
import { proxyPart } from "../proxy-part.ts";

export type Program = "agent" | "gate" | "proxy";

export interface Listened {
  /** The key of its file. */
  readonly key: string;
  readonly address: HostPort;
}

export interface Target {
  readonly program: Program;
  /** Of a gate the host's. */
  readonly name: string;
  readonly cluster: string;
  readonly stateDir: string;
  readonly listens: readonly Listened[];
  /** "host:port" under which it is itself among the seeds. */
  readonly own: readonly string[];
  readonly seeds: readonly string[];
  /** Of an agent: where the gate beside it should listen. */
  readonly gate: HostPort | null;
  /** Of a gate or an arm: the socket of whom it speaks to. */
  readonly peerSocket: string | null;
}

/** The keys of a member's configuration that matter here, as mesh's `MemberConfig` has them. */
type Common = Pick<AgentConfig, "cluster" | "stateDir" | "listen" | "advertise" | "seeds"> & {
  readonly name: string;
};
type ProxyKeys = Common & {
  readonly http: HostPort;
  readonly admin: HostPort;
  readonly gateSocket: string | null;
};
interface GateKeys {
  readonly host: string;
  readonly cluster: string;
  readonly stateDir: string;
  readonly listen: HostPort;
  readonly agentSocket: string;
}
type Read<Keys> = (file: string) => Result<Keys, readonly ConfigError[]>;

/** Keys that one program's file alone may have. */
const OF_GATE = /^\s*agent_socket\s*=/m;
const OF_PROXY = /^\s*(?:http|admin|response_headers|gate_socket)\s*=/m;

/** By the keys in it; a file with none of a program's own is an agent's. */
export function programOf(text: string): Program {
  if (OF_GATE.test(text)) return "gate";
  return OF_PROXY.test(text) ? "proxy" : "agent";
}

/** The file is read as its program would. */
export async function readTarget(
  file: string,
  program: Program,
): Promise<Result<Target, readonly ConfigError[]>> {
  if (program === "agent") return mapped(readAgentConfig(file), agentTarget);
  if (program === "gate") {
    const { readGateConfig } = await proxyPart<{ readGateConfig: Read<GateKeys> }>("gate-config.ts");
    return mapped(readGateConfig(file), gateTarget);
  }
  const { readProxyConfig } = await proxyPart<{ readProxyConfig: Read<ProxyKeys> }>("config.ts");
  return mapped(readProxyConfig(file), proxyTarget);
}

export function agentTarget(config: Common & Pick<AgentConfig, "api" | "gate">): Target {
  const listens = [...memberListens(config), { key: "api", address: config.api }];
  return { program: "agent", ...memberKeys(config), listens, gate: config.gate, peerSocket: null };
}

function proxyTarget(config: ProxyKeys): Target {
  const own = [
    { key: "http", address: config.http },
    { key: "admin", address: config.admin },
  ];
  const listens = [...memberListens(config), ...own];
  return { program: "proxy", ...memberKeys(config), listens, gate: null, peerSocket: config.gateSocket };
}

function gateTarget({ host, cluster, stateDir, listen, agentSocket }: GateKeys): Target {
  return {
    program: "gate",
    name: host,
    cluster,
    stateDir,
    listens: [{ key: "listen", address: listen }],
    own: [],
    seeds: [],
    gate: null,
    peerSocket: agentSocket,
  };
}

function memberKeys({ name, cluster, stateDir, listen, advertise, seeds }: Common) {
  return { name, cluster, stateDir, seeds, own: [listen, ...advertise] };
}

function memberListens({ listen }: Common): readonly Listened[] {
  const parsed = parseHostPort(listen);
  return parsed.ok ? [{ key: "listen", address: parsed.value }] : [];
}

function mapped<From, To, Failed>(result: Result<From, Failed>, map: (from: From) => To): Result<To, Failed> {
  return result.ok ? ok(map(result.value)) : result;
}

/** What the program writes once it is ready, and takes away at its end. */
export function readyFileOf({ program, stateDir }: Pick<Target, "program" | "stateDir">): string {
  return path.join(stateDir, `${program}.json`);
}

export function describeAddress({ host, port }: HostPort): string {
  return `${host.includes(":") ? `[${host}]` : host}:${port}`;
}
