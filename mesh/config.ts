// Config: the keys that every member's configuration file shares, host agent and proxy agent alike.
// docs/config.md is the reference; what a key loses by being raised or lowered is said there.

import { isIP } from "node:net";
import path from "node:path";
import { type ZodType, z } from "zod";
import { isName, type MemberName, memberName } from "./core/ids.ts";
import { told } from "./io/key-words.ts";
import { type FormerKey, formerKey } from "./io/toml-file.ts";
import { fail, ok, type Result } from "./result.ts";

const LOG_LEVELS = ["trace", "debug", "info", "warn", "error", "silent"] as const;
type LogLevel = (typeof LOG_LEVELS)[number];

/** As written in the file; `state_dir` is not resolved yet. */
export interface MemberConfigKeys {
  readonly name: MemberName;
  readonly state_dir: string;
  readonly cluster: string;
  readonly listen: string;
  readonly advertise: readonly string[];
  readonly seeds: readonly string[];
  readonly region: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly log_level: LogLevel;
}

/** What a member is, in its file's words made ours. */
export interface MemberConfig {
  readonly name: MemberName;
  /** Absolute. Identity, incarnation and all else that outlives a restart. */
  readonly stateDir: string;
  /** The id that `grapevine init` printed; members of another cluster are refused. */
  readonly cluster: string;
  /** "0.0.0.0:7946". */
  readonly listen: string;
  /** At which others reach it; empty: what it listens on. */
  readonly advertise: readonly string[];
  /** Members asked first; any that is up suffices. */
  readonly seeds: readonly string[];
  readonly region: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly logLevel: LogLevel;
}

export interface HostPort {
  /** A name or an address, without brackets. */
  readonly host: string;
  readonly port: number;
}

const SEEDS_MAX = 64;
const LABELS_MAX = 32;
/** A libp2p peer id of an Ed25519 key, in base58. */
const CLUSTER_ID = /^12D3KooW[1-9A-HJ-NP-Za-km-z]{44}$/;
const HOST_NAME = /^(?!-)[A-Za-z0-9_-]{1,63}(?:\.[A-Za-z0-9_-]{1,63})*$/;
const LABEL_NAME = /^[A-Za-z0-9][A-Za-z0-9._/-]{0,62}$/;

const nameText = (example: string) =>
  `must be lower-case letters, digits and inner hyphens, at most 48, for example ${example}`;

/** A name as an app, a member or a VM may have it. */
export function nameShape(example: string): ZodType<string> {
  const message = nameText(example);
  return z.string(message).refine(isName, message);
}

/** "host:port"; `isPortZeroAllowed`: the system chooses a free one. */
export function hostPortShape(options: {
  readonly example: string;
  readonly isPortZeroAllowed?: boolean;
}): ZodType<string> {
  const message = `must be "host:port", for example ${options.example}`;
  const isFit = (text: string) => {
    const parsed = parseHostPort(text);
    return parsed.ok && (parsed.value.port > 0 || options.isPortZeroAllowed === true);
  };
  return z.string(message).refine(isFit, message);
}

/** "127.0.0.1:7946", "host-1.example:7946", "[::1]:7946". */
export function parseHostPort(text: string): Result<HostPort> {
  const [, bracketed, plain, digits] = /^(?:\[([0-9a-fA-F:.]+)\]|([^:[\]]+)):(\d{1,5})$/.exec(text) ?? [];
  const port = Number(digits);
  if (digits === undefined || port > 65_535) return fail(`not host:port: ${text}`);
  if (bracketed !== undefined) {
    return isIP(bracketed) === 6 ? ok({ host: bracketed, port }) : fail(`not an IPv6 address: ${bracketed}`);
  }
  if (plain === undefined || plain.length > 253) return fail(`not host:port: ${text}`);
  const isHost = isIP(plain) === 4 || (HOST_NAME.test(plain) && !/^[\d.]+$/.test(plain));
  return isHost ? ok({ host: plain, port }) : fail(`not a host: ${plain}`);
}

/** "10.0.0.1:7946" as libp2p writes it: "/ip4/10.0.0.1/tcp/7946". Throws (a bug) on what no validator let through. */
export function toMultiaddr(hostPort: string): string {
  const parsed = parseHostPort(hostPort);
  if (!parsed.ok) throw new Error(`toMultiaddr: ${parsed.error}`);
  const { host, port } = parsed.value;
  const family = isIP(host);
  const protocol = family === 0 ? "dns" : `ip${family}`;
  return `/${protocol}/${host}/tcp/${port}`;
}

const labelsText = 'must be a table of strings, for example labels = { rack = "a1" }';
const labelNameText = "must be a name of letters, digits and . _ / -, at most 63, for example rack";
const regionText = 'must be a short text, for example region = "default"';
/** Until registers were replicated each member's file named the one voter. */
const formerVotersText = "is not set here any more: `grapevine voters` shows and changes them";
const stateDirText = 'must be the path of a folder, for example state_dir = "state"';
const clusterText = 'must be the id that `grapevine init` printed, for example cluster = "12D3KooW…"';
const logLevelText = `must be one of ${LOG_LEVELS.join(", ")}, for example log_level = "info"`;

/** Spread into a member's own strict object: `z.strictObject({ ...memberConfigShape, api: … })`. */
export const memberConfigShape: {
  readonly [Key in keyof MemberConfigKeys]: ZodType<MemberConfigKeys[Key]>;
} & { readonly voters: FormerKey } = {
  name: told(nameShape('name = "host-1"').transform(memberName), {
    type: "name",
    means:
      "Unique in the cluster; lower-case letters, digits, inner hyphens, at most 48. A VM's record names its host by it: a host that is renamed loses its VMs.",
  }),
  state_dir: told(z.string(stateDirText).min(1, stateDirText).max(1_024, stateDirText), {
    type: "path",
    means:
      "Relative to this file. Identity, incarnation and the snapshot of what the member knows of the cluster, of a host also VMs, bundles, envs (for its own user alone), custom entries, and of a voter the registers (`voter/`): without that it votes no more, until it is removed and added again (`grapevine voters`). Lost: the member comes back as a stranger. For one process alone: of two with one folder, or with a copy, the younger logs the other at `error` and leaves the mesh (below). The path of the socket in it has at most 107 bytes.",
  }),
  cluster: told(z.string(clusterText).regex(CLUSTER_ID, clusterText), {
    type: "id",
    means: "What `grapevine init` printed. Members with another one are refused.",
  }),
  listen: told(
    hostPortShape({ example: 'listen = "0.0.0.0:7946"', isPortZeroAllowed: true }).default("0.0.0.0:7946"),
    {
      type: "host:port",
      means:
        "Where other members reach it. Port 0: the system chooses, and only peers that it dials find it again.",
    },
  ),
  advertise: told(hostPortList('advertise = ["10.0.0.1:7946"]').default([]), {
    type: "list of host:port",
    unset: "what it listens on",
    means: "Under which addresses others dial it. Needed behind NAT and with several networks.",
  }),
  seeds: told(hostPortList('seeds = ["10.0.0.1:7946"]').default([]), {
    type: "list of at most 64 host:port",
    means:
      "Members asked first. One that is up suffices; with one seed only, nobody can join while that one is down. Its own address is passed over.",
  }),
  voters: formerKey(formerVotersText),
  region: told(z.string(regionText).min(1, regionText).max(63, regionText).default("default"), {
    type: "text",
    means: "Shown in `members`.",
  }),
  labels: told(
    z
      .record(
        z.string().regex(LABEL_NAME, labelNameText),
        z.string(labelsText).max(255, labelsText),
        labelsText,
      )
      .refine((labels) => Object.keys(labels).length <= LABELS_MAX, `must be at most ${LABELS_MAX} labels`)
      .default({}),
    { type: "table of at most 32 texts", means: "Shown in `members`." },
  ),
  log_level: told(z.enum(LOG_LEVELS, logLevelText).default("info"), {
    means: "Lower: what peers did wrong is shown too. Higher: changes of state are not logged any more.",
  }),
};

function hostPortList(example: string): z.ZodArray<ZodType<string>> {
  const message = `must be a list of "host:port", for example ${example}`;
  return z
    .array(hostPortShape({ example }), message)
    .max(SEEDS_MAX, `must have at most ${SEEDS_MAX} entries, for example ${example}`);
}

/** `file` is where `keys` were read: paths in it are relative to its folder. */
export function toMemberConfig(keys: MemberConfigKeys, file: string): MemberConfig {
  const { name, cluster, listen, advertise, seeds, region, labels } = keys;
  const stateDir = path.resolve(path.dirname(file), keys.state_dir);
  const logLevel = keys.log_level;
  return { name, stateDir, cluster, listen, advertise, seeds, region, labels, logLevel };
}

/** What may be told to anybody who asks a member, key by key: none of it is a secret. */
export function publicMemberConfig(config: MemberConfig): MemberConfig {
  const { name, stateDir, cluster, listen, advertise, seeds, region, labels, logLevel } = config;
  return { name, stateDir, cluster, listen, advertise, seeds, region, labels, logLevel };
}
