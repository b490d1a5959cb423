// Examine host: all checks of one member's own machine, side by side.

import { CONNECTIONS_MAX as PEERS_MAX } from "../../../mesh/words.ts";
import { API_CONNECTIONS_MAX } from "../../limits.ts";
import { proxyPart } from "../proxy-part.ts";
import type { Finding } from "./finding.ts";
import { gatherFolder, gatherKey } from "./gather-folder.ts";
import { gatherPort, tryConnect } from "./gather-ports.ts";
import { gatherFiles, gatherMachine, type RunningFacts } from "./gather-process.ts";
import { gatherSeeds } from "./gather-seeds.ts";
import { judgeClock, judgeFolder, judgeKey, judgeRoom, judgeSync } from "./judge-folder.ts";
import {
  filesNeed,
  judgeFiles,
  judgeGateBeside,
  judgeKernel,
  judgeNode,
  judgePeerSocket,
  judgePort,
} from "./judge-machine.ts";
import { judgeSeeds } from "./judge-seeds.ts";
import type { Target } from "./target.ts";

export async function examineHost(
  target: Target,
  running: RunningFacts | null,
  signal: AbortSignal,
): Promise<readonly Finding[]> {
  const groups = await Promise.all([
    examineMachine(target, running),
    examinePorts(target, running),
    examineFolder(target, running),
    examineNeighbours(target, running, signal),
  ]);
  return groups.flat();
}

async function examineMachine(
  { program }: Target,
  running: RunningFacts | null,
): Promise<readonly Finding[]> {
  const machine = gatherMachine();
  const { CLIENT_CONNECTIONS_MAX: clients } = await proxyPart<{ CLIENT_CONNECTIONS_MAX: number }>(
    "limits.ts",
  );
  const need = filesNeed(program, { peers: PEERS_MAX, api: API_CONNECTIONS_MAX, clients });
  const files = judgeFiles(gatherFiles(running?.pid ?? null), need);
  return [judgeNode(machine), judgeKernel(machine, program), files];
}

/** One after the other: two of them may be the same port by mistake, and neither is then in the other's way. */
async function examinePorts(
  { listens, program }: Target,
  running: RunningFacts | null,
): Promise<readonly Finding[]> {
  const findings: Finding[] = [];
  for (const listened of listens) findings.push(judgePort(await gatherPort(listened), running, program));
  return findings;
}

async function examineFolder(target: Target, running: RunningFacts | null): Promise<readonly Finding[]> {
  const { program, stateDir } = target;
  const [folder, key] = await Promise.all([gatherFolder(stateDir), gatherKey(target, Date.now())]);
  const disk = [judgeFolder(folder, program), judgeRoom(folder, program), judgeSync(folder, program) ?? []];
  // A gate is no member, and has no key.
  const own = program === "gate" ? [] : [judgeKey(key, running !== null), judgeClock(key)];
  return [...disk.flat(), ...own];
}

async function examineNeighbours(
  target: Target,
  running: RunningFacts | null,
  signal: AbortSignal,
): Promise<readonly Finding[]> {
  const { program, gate, peerSocket } = target;
  const [seeds, beside, peer] = await Promise.all([
    program === "gate" ? [] : gatherSeeds(target, { withGreeting: running === null }, signal),
    gate && tryConnect(gate, signal),
    peerSocket === null ? null : tryConnect({ path: peerSocket }, signal),
  ]);
  return [
    ...(program === "gate" ? [] : judgeSeeds(seeds, target)),
    ...(gate === null || beside === null ? [] : [judgeGateBeside(gate, beside)]),
    ...(peerSocket === null || peer === null ? [] : [judgePeerSocket(program, peerSocket, peer)]),
  ];
}
