// Gate: the process that stands before the VMs of one host. It is no member of the mesh: its agent, a sibling, tells it the
// certified records and where the VMs are, and tells the voters what it confirms; so no gossip slows its traffic.

import path from "node:path";
import type { AppName, HostPort, MemberName } from "../mesh/index.ts";
import { AgentLink } from "./io/gate/agent-link.ts";
import { ArmDesk } from "./io/gate/arm-desk.ts";
import { GateServer } from "./io/gate/gate-server.ts";
import { GateState, type GateStateDeps } from "./io/gate/gate-state.ts";
import { orListenError } from "./io/listen-error.ts";

export interface GateOptions {
  readonly cluster: string;
  readonly host: MemberName;
  /** Must exist. */
  readonly stateDir: string;
  readonly listen: HostPort;
  readonly agentSocket: string;
}

export interface RunningGate {
  readonly address: HostPort;
  readonly describe: () => string;
  stop(): Promise<void>;
}

const DISK_FILE = "gate.sqlite";
/** There from the start: of what is not told nobody knows whether it is none. */
const COUNTERS = [
  ...["requests", "requests-bad", "requests-cut"],
  ...["refused-shut", "refused-behind", "refused-ahead", "refused-closed"],
  ...["unreachable", "lost", "late", "failed", "records-handed-in", "arms-attached", "arms-gone"],
];

/** Resolves once it listens: open with what its disk says, or shut until its agent has read a majority. Rejects with `ListenError`. */
export async function startGate(options: GateOptions, deps: GateStateDeps): Promise<RunningGate> {
  const { logger } = deps;
  const { cluster, host, stateDir } = options;
  const counters = new Map<string, number>(COUNTERS.map((name) => [name, 0]));
  const count = (counter: string) => void counters.set(counter, (counters.get(counter) ?? 0) + 1);
  const file = { cluster, host, path: path.join(stateDir, DISK_FILE) };
  const state = await GateState.open(file, deps);
  const told = { state, logger, counters: () => Object.fromEntries(counters) };
  const link = new AgentLink(options, told);
  const arms = new ArmDesk(options, { state, count, logger });
  const onHandedIn = (key: string, value: Uint8Array) => link.handedIn(key, value);
  const entriesOf = (app: AppName) => link.entries(app);
  const server = new GateServer({ state, logger, count, entriesOf, onHandedIn });
  state.listen({
    onConfirm: (app) => link.changed(app),
    onGrant: (grant) => arms.grant(grant),
    onCutAtArms: (vms) => arms.cut(vms),
    onClosed: (vms) => server.closed(new Set(vms)),
    onCut: (flights) => server.cut(flights),
  });
  const stop = async () => {
    await server.stop();
    link.stop();
    await arms.stop();
    await state.close();
  };
  try {
    const address = await orListenError(server.listen(options.listen), options.listen);
    // Before the link, by which alone anything is confirmed: who may still go by what an earlier life of ours granted.
    await arms.start();
    link.start();
    logger.info({ address, state: state.describe() }, "gate listens");
    return { address, describe: () => state.describe(), stop };
  } catch (error) {
    await stop();
    throw error;
  }
}
