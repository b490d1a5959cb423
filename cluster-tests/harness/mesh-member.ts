// Mesh member: one mesh as a process of its own, for the faults that only a process can have. `mesh-protocol.ts` says what
// it hears on stdin and says on stdout. It ends with its stdin, so that nothing outlives a test that was killed.

import { enableCompileCache } from "node:module";
import { createInterface } from "node:readline";
import { setImmediate as nextTurn } from "node:timers/promises";
import { pino } from "pino";
import { type Entry, memberName, type RunningMesh, startMesh } from "../../mesh/index.ts";
import {
  burstText,
  type HeldEntry,
  type MeshCommand,
  type MeshDump,
  type MeshLine,
  type MeshMemberOptions,
  valueHash,
} from "./mesh-protocol.ts";

/** Few: the others must hear of it while it goes on. */
const BURST_WRITES_A_TURN = 5;

enableCompileCache();
await run(JSON.parse(process.argv[2] ?? "") as MeshMemberOptions);

async function run({
  name,
  clockOffsetMs,
  listen: address,
  metricsIntervalMs,
  ...rest
}: MeshMemberOptions): Promise<void> {
  const logger = pino({ level: "warn" }, { write: tellLog });
  const options = {
    ...rest,
    cluster: "test",
    name: memberName(name),
    role: "host",
    listen: [address],
  } as const;
  const mesh = await startMesh(options, { logger, nowMs: () => Date.now() + clockOffsetMs });
  // In one turn: what the dump does not show is told as a change.
  const [listen = ""] = mesh.listenAddresses;
  tell({ event: "ready", owner: mesh.self.owner, listen, dump: dumpOf(mesh) });
  mesh.onChange((change) => {
    if (isPassing(change)) return;
    const held = { ...heldOf(change), hash: hashOf(change) };
    tell({ event: "change", ...held, path: change.path, routes: mesh.store.list("vm/").length });
  });
  const tellLinks = (): void => tell({ event: "links", connected: connectedOf(mesh) });
  tellLinks();
  mesh.onMembers(tellLinks);
  watchJudgements(mesh);
  if (metricsIntervalMs > 0) watchMetrics(mesh, metricsIntervalMs);
  for await (const line of createInterface({ input: process.stdin }))
    await obey(mesh, JSON.parse(line) as MeshCommand);
  await mesh.stop();
  process.exit();
}

async function obey(mesh: RunningMesh, command: MeshCommand): Promise<void> {
  switch (command.do) {
    case "write": {
      const versions = command.entries.map(([key, text]) => mesh.write(key, bytesOf(text)));
      const version = versions.at(-1);
      tell({ event: "answer", ...(version !== undefined && { version }) });
      break;
    }
    case "burst":
      return burst(mesh, command.keys);
    case "announce":
      mesh.announce();
      tell({ event: "answer" });
      break;
    case "dump":
      tell({ event: "answer", dump: dumpOf(mesh) });
      break;
    case "stop":
      await mesh.stop();
      tell({ event: "answer" });
      process.exit();
      break;
    default:
      command satisfies never;
  }
}

async function burst(mesh: RunningMesh, keys: number): Promise<never> {
  for (let serial = 0; ; serial += 1) {
    mesh.write(`vm/${serial % keys}`, bytesOf(burstText(serial)));
    if (serial % BURST_WRITES_A_TURN === 0) await nextTurn();
  }
}

function watchJudgements(mesh: RunningMesh): void {
  const last = new Map<string, string>();
  mesh.onMembers(() => {
    for (const { owner, liveness } of mesh.members()) {
      const { state } = liveness;
      if ((last.get(owner) ?? "alive") === state) continue;
      last.set(owner, state);
      tell({ event: "judged", owner, state, atNs: String(process.hrtime.bigint()) });
    }
  });
}

/** No event tells of them. */
function watchMetrics(mesh: RunningMesh, intervalMs: number): void {
  let last = "";
  setInterval(() => {
    const metrics = mesh.metrics();
    const now = JSON.stringify(metrics);
    if (now !== last) tell({ event: "metrics", metrics });
    last = now;
  }, intervalMs);
}

function dumpOf(mesh: RunningMesh): MeshDump {
  const shown = mesh.store.list("").filter((entry) => !isPassing(entry));
  const entries = shown.map((entry) => ({ ...heldOf(entry), hash: hashOf(entry) ?? "" }));
  return { entries, metrics: mesh.metrics(), describe: mesh.describe() };
}

/** Accusations come and go as the failure detector sees fit: no test wrote them. */
function isPassing({ key }: Entry): boolean {
  return key.startsWith("suspect/");
}

function heldOf({ owner, key, version }: Entry): Omit<HeldEntry, "hash"> {
  const { incarnation, startId, counter } = version;
  return { owner, key, version: { incarnation, startId, counter } };
}

function hashOf({ value }: Entry): string | null {
  return value === null ? null : valueHash(value);
}

function bytesOf(text: string | null): Uint8Array | null {
  return text === null ? null : new TextEncoder().encode(text);
}

function connectedOf(mesh: RunningMesh): readonly string[] {
  return mesh.members().flatMap(({ owner, connected }) => (connected ? [owner] : []));
}

function tellLog(line: string): void {
  const { level, msg } = JSON.parse(line) as { readonly level: number; readonly msg: string };
  tell({ event: "log", level, msg });
}

function tell(line: MeshLine): void {
  process.stdout.write(`${JSON.stringify(line)}\n`);
}
