// Gate config: the keys of a gate's configuration file. docs/config.md is the reference.

import path from "node:path";
import { type ZodType, z } from "zod";
import {
  type ConfigError,
  fail,
  type HostPort,
  hostPortShape,
  type MemberConfig,
  type MemberName,
  memberConfigShape,
  memberName,
  nameShape,
  ok,
  parseHostPort,
  type Result,
  readTomlFile,
  told,
} from "../mesh/index.ts";

export interface GateConfig extends Pick<MemberConfig, "cluster" | "stateDir" | "logLevel"> {
  /** Whose VMs it stands before: the agent's name. */
  readonly host: MemberName;
  /** Where proxies reach it; the agent's `gate` says the same. */
  readonly listen: HostPort;
  /** `gate.sock` in the agent's state folder. */
  readonly agentSocket: string;
}

const socketText = 'must be the path of a socket, for example agent_socket = "../host-1/state/gate.sock"';
const { cluster, state_dir, log_level } = memberConfigShape;

const gateConfigShape = z.strictObject({
  host: told(nameShape('host = "host-1"'), { type: "name", means: "The agent's `name`." }),
  cluster: told(cluster.clone(), { type: "id", means: "As the agent's." }),
  state_dir: told(state_dir.clone(), {
    type: "path",
    means:
      "Relative to this file; of its own. What it was open and closed for. Lost: it is shut until its agent has read all records at a majority of the voters.",
  }),
  listen: told(hostPortShape({ example: 'listen = "10.0.0.1:7901"' }), {
    type: "host:port",
    means:
      "Where proxies reach it; the agent's `gate` names the same. Whoever reaches it reaches the VMs: a private network.",
  }),
  agent_socket: told(z.string(socketText).min(1, socketText).max(1_024, socketText), {
    type: "path",
    means:
      "`gate.sock` in the agent's `state_dir`, at most 107 bytes. The gate may start first; it tries again for ever.",
  }),
  log_level: told(log_level.clone(), { means: "As above." }),
});

/** What docs/config.md lists. */
export const gateConfigKeys: ZodType = gateConfigShape;

export function readGateConfig(file: string): Result<GateConfig, readonly ConfigError[]> {
  const read = readTomlFile(file, gateConfigShape);
  if (!read.ok) return fail(read.error);
  const keys = read.value;
  const listen = parseHostPort(keys.listen);
  if (!listen.ok) throw new Error(`gate config: ${listen.error}`);
  const beside = (name: string) => path.resolve(path.dirname(file), name);
  return ok({
    cluster: keys.cluster,
    stateDir: beside(keys.state_dir),
    logLevel: keys.log_level,
    host: memberName(keys.host),
    listen: listen.value,
    agentSocket: beside(keys.agent_socket),
  });
}
