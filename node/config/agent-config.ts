// Agent config: the file behind `grapevine agent --config FILE`. The shared keys are mesh's; docs/config.md is the reference.

import { readFileSync } from "node:fs";
import { type ZodType, z } from "zod";
import {
  type ConfigError,
  durationShape,
  type HostPort,
  hostPortShape,
  type MemberConfig,
  type MemberConfigKeys,
  memberConfigShape,
  parseHostPort,
  parseToml,
  publicMemberConfig,
  readTomlFile,
  told,
  toMemberConfig,
} from "../../mesh/keys.ts";
import { ok, type Result } from "../../mesh/words.ts";

export interface PortRange {
  readonly first: number;
  readonly last: number;
}

export interface AgentConfig extends MemberConfig {
  /** Loopback alone; port 0: the system chooses. */
  readonly api: HostPort;
  /** From these each VM gets its port. */
  readonly vmPorts: PortRange;
  /** At which proxies dial the VMs of this host that are not behind its gate. */
  readonly vmAddress: string;
  /** Where proxies reach the gate of this host; null: it has none. */
  readonly gate: HostPort | null;
  /** Of a driver: a host that is held dead for so long has its VMs replaced. */
  readonly replaceAfterMs: number;
}

interface AgentConfigKeys extends MemberConfigKeys {
  readonly api: string;
  readonly vm_ports: string;
  readonly vm_address?: string | undefined;
  readonly gate?: string | undefined;
  readonly replace_after: number;
}

const PORT_RANGE = /^(\d{1,5})-(\d{1,5})$/;
const LOOPBACK = /^(?:localhost|127(?:\.\d{1,3}){3}|::1)$/;
/** Below a second a pause of a process would move VMs; after a day nobody waits for a machine any more. */
const REPLACE_AFTER_MS = { minMs: 1_000, maxMs: 24 * 3_600_000 };
/** Where Linux says from which ports it takes those of outgoing connections. */
const EPHEMERAL_PORTS_FILE = "/proc/sys/net/ipv4/ip_local_port_range";

export function readAgentConfig(file: string): Result<AgentConfig, readonly ConfigError[]> {
  const keys = readTomlFile(file, agentConfigShape(ephemeralPorts()));
  return keys.ok ? ok(toAgentConfig(keys.value, file)) : keys;
}

/** `readAgentConfig` for text that is at hand, on a system with these ephemeral ports. */
export function parseAgentConfig(
  file: string,
  text: string,
  ephemeral: PortRange | null,
): Result<AgentConfig, readonly ConfigError[]> {
  const keys = parseToml(file, text, agentConfigShape(ephemeral));
  return keys.ok ? ok(toAgentConfig(keys.value, file)) : keys;
}

/** What may be told to anybody, key by key: one that is a secret some day is not told because nobody thought of it. */
export function publicConfig(config: AgentConfig): object {
  const { api, vmPorts, vmAddress, gate, replaceAfterMs } = config;
  return { ...publicMemberConfig(config), api, vmPorts, vmAddress, gate, replaceAfterMs };
}

/** Also what docs/config.md lists. `ephemeral`: null where the system does not say. */
export function agentConfigShape(ephemeral: PortRange | null): ZodType<AgentConfigKeys> {
  const addressText =
    'must be the address at which proxies reach this host, for example vm_address = "10.0.0.1"';
  return z.strictObject({
    ...memberConfigShape,
    api: told(
      hostPortShape({ example: 'api = "127.0.0.1:7900"', isPortZeroAllowed: true })
        .refine(
          isLoopback,
          'must be a loopback address, for example api = "127.0.0.1:7900": anything wider needs TLS and a token, which is not built yet',
        )
        .default("127.0.0.1:7900"),
      {
        type: "host:port on loopback",
        means:
          "HTTP API, also on the unix socket `state_dir/agent.sock`, for the owner alone. Anything wider than loopback needs TLS and a token, which is not built yet, and is refused. Everybody on the machine reaches the port: who must not deploy must not log in.",
      },
    ),
    vm_ports: told(vmPortsShape(ephemeral).default("20000-29999"), {
      type: '`"FIRST-LAST"`',
      means:
        "From these each VM gets its port. Outside the system's ephemeral range (`/proc/sys/net/ipv4/ip_local_port_range`): else an outgoing connection takes a VM's port some day. Smaller: fewer VMs.",
    }),
    vm_address: told(
      z
        .string(addressText)
        .refine((text) => parseHostPort(text.includes(":") ? `[${text}]:1` : `${text}:1`).ok, addressText)
        .optional(),
      {
        type: "address",
        unset: "host of the first `advertise`, else `127.0.0.1`",
        means:
          "Where VMs bind and proxies dial them that are not behind a gate. With `127.0.0.1` only proxies on this host reach them.",
      },
    ),
    gate: told(hostPortShape({ example: 'gate = "10.0.0.1:7901"' }).optional(), {
      type: "host:port",
      unset: "none",
      means:
        "Where proxies reach the gate of this host, which must run beside the agent (below). VMs that start from then on bind to `127.0.0.1`; those that run are dialled by the gate where they are. Without it proxies dial the VMs themselves, and a proxy that cannot be heard holds up each deploy here. Taken away again: VMs that were started behind the gate cannot be reached until they are deployed anew.",
    }),
    replace_after: told(
      durationShape({ ...REPLACE_AFTER_MS, example: 'replace_after = "1m"' }).default(60_000),
      {
        means:
          "Of the agent that drives: the VMs of a host that is held dead for so long are placed elsewhere. Raised: an app goes on with fewer VMs for longer. Lowered: a host that only starts anew has its VMs moved, and stops them when it is back.",
      },
    ),
  });
}

/** An ephemeral port would sooner or later be taken by an outgoing connection just when a VM is to have it. */
function vmPortsShape(ephemeral: PortRange | null): ZodType<string> {
  const text = 'must be a range of ports from 1024 to 65535, for example vm_ports = "20000-29999"';
  const clear = (range: string) => {
    const ports = parsePortRange(range);
    return !ports || !ephemeral || ports.last < ephemeral.first || ports.first > ephemeral.last;
  };
  const shape = z.string(text).refine((range) => parsePortRange(range) !== undefined, text);
  if (ephemeral === null) return shape;
  return shape.refine(
    clear,
    `must lie outside ${ephemeral.first}-${ephemeral.last}, this system's ports for outgoing connections ` +
      `(${EPHEMERAL_PORTS_FILE}), for example vm_ports = "20000-29999"`,
  );
}

function parsePortRange(text: string): PortRange | undefined {
  const [, first, last] = (PORT_RANGE.exec(text) ?? []).map(Number);
  if (first === undefined || last === undefined) return undefined;
  return first >= 1_024 && first <= last && last <= 65_535 ? { first, last } : undefined;
}

function isLoopback(hostPort: string): boolean {
  const parsed = parseHostPort(hostPort);
  return !parsed.ok || LOOPBACK.test(parsed.value.host);
}

function toAgentConfig(keys: AgentConfigKeys, file: string): AgentConfig {
  return {
    ...toMemberConfig(keys, file),
    api: validHostPort(keys.api),
    vmPorts: parsePortRange(keys.vm_ports) ?? { first: 0, last: 0 },
    vmAddress: keys.vm_address ?? advertisedHost(keys.advertise),
    gate: keys.gate === undefined ? null : validHostPort(keys.gate),
    replaceAfterMs: keys.replace_after,
  };
}

function advertisedHost(advertise: readonly string[]): string {
  const first = advertise[0];
  return first === undefined ? "127.0.0.1" : validHostPort(first).host;
}

function validHostPort(text: string): HostPort {
  const parsed = parseHostPort(text);
  if (!parsed.ok) throw new Error(`agent config: ${parsed.error}`);
  return parsed.value;
}

/** null where the system does not say. */
function ephemeralPorts(): PortRange | null {
  try {
    const [first, last] = readFileSync(EPHEMERAL_PORTS_FILE, "utf8").trim().split(/\s+/).map(Number);
    return first === undefined || last === undefined ? null : { first, last };
  } catch {
    return null;
  }
}
