// An empty member joins a large cluster's state: how long, how much memory, and how long the member that serves it keeps its
// event loop. Real processes over loopback; the state is generated, signed by as many keys as there are hosts.
// `node cluster-tests/bench/join.ts --help`.

import { type ChildProcess, fork } from "node:child_process";
import { mkdir, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { monitorEventLoopDelay, performance } from "node:perf_hooks";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { generateKeyPair } from "@libp2p/crypto/keys";
import { peerIdFromPrivateKey } from "@libp2p/peer-id";
import { pino } from "pino";
import { memberName, ownerId } from "../../mesh/core/ids.ts";
import { OwnState } from "../../mesh/core/own-state.ts";
import { ALL_PROTECTIONS } from "../../mesh/core/protections.ts";
import { Store } from "../../mesh/core/store.ts";
import { createHeadCrypto } from "../../mesh/io/head-crypto.ts";
import type { RunningMesh } from "../../mesh/io/mesh-options.ts";
import { startMesh } from "../../mesh/io/open-mesh.ts";
import { Snapshot } from "../../mesh/io/snapshot.ts";

const HELP = `Usage: node cluster-tests/bench/join.ts [--hosts 1000] [--entries 100] [--bytes 150] [--rounds 3] [--json]

--entries: of each host, of --bytes bytes each. A round: one process holds the state, an empty one joins it, a third only
ticks. Printed: time from the first connection to the last entry, memory of the joiner after a collection, and the longest
stall of the event loop of the one that serves beside that of the one that ticks.`;

const CLUSTER = "bench";
/** Of the event loop's delay. */
const RESOLUTION_MS = 5;

interface Size {
  readonly hosts: number;
  readonly entries: number;
  readonly bytes: number;
}

/** What a child says. */
interface Said {
  readonly address?: string;
  readonly joinedMs?: number;
  readonly rssMb?: number;
  readonly bytesPerEntry?: number;
  readonly stallMs?: number;
}

// --- the state

async function generateState(stateDir: string, size: Size): Promise<void> {
  await mkdir(stateDir, { recursive: true });
  const anyone = createHeadCrypto(await generateKeyPair("Ed25519"));
  const store = new Store(anyone, { protections: ALL_PROTECTIONS, isControl: () => false });
  const logger = pino({ level: "warn" });
  const written = Promise.withResolvers<void>();
  let owners = 0;
  const snapshot = await Snapshot.open(
    { stateDir, cluster: CLUSTER },
    {
      logger,
      onWritten: ({ deltas }) => {
        owners += deltas.length;
        if (owners >= size.hosts) written.resolve();
      },
    },
  );
  snapshot.takeStates();
  snapshot.begin(store);
  for (let at = 0; at < size.hosts; at += 1) await addHost(store, size, at);
  await written.promise;
  await snapshot.stop();
}

async function addHost(store: Store, { entries, bytes }: Size, at: number): Promise<void> {
  const key = await generateKeyPair("Ed25519");
  const owner = ownerId(peerIdFromPrivateKey(key).toString());
  const own = new OwnState(owner, { incarnation: 1 + at, startId: 1 }, createHeadCrypto(key));
  for (let entry = 0; entry < entries; entry += 1)
    own.write(`vm/host-${at}-${entry}`, new Uint8Array(bytes).fill(entry));
  own.announce();
  const delta = own.takeGossip();
  const outcome = delta === undefined ? undefined : store.apply(delta);
  if (outcome?.kind !== "applied")
    throw new Error(`bench: host ${at}: ${outcome?.kind ?? "too large for one message"}`);
}

// --- children

function startMember(name: string, stateDir: string, seeds: readonly string[]): Promise<RunningMesh> {
  const options = { cluster: CLUSTER, name: memberName(name), role: "host", stateDir } as const;
  const listen = { listen: ["/ip4/127.0.0.1/tcp/0"], advertise: [], seeds };
  return startMesh({ ...options, ...listen }, { logger: pino({ level: "warn" }, pino.destination(2)) });
}

function say(said: Said): void {
  process.send?.(said);
}

/** Says its stall when told to. */
async function serve(stateDir: string): Promise<void> {
  const mesh = await startMember("host-old", stateDir, []);
  mesh.announce();
  say({ address: mesh.listenAddresses[0] ?? "" });
  tick();
}

function tick(): void {
  const delay = monitorEventLoopDelay({ resolution: RESOLUTION_MS });
  delay.enable();
  process.on("message", (word) => {
    if (word === "begin") delay.reset();
    if (word === "end") say({ stallMs: delay.max / 1e6 });
  });
}

async function joinState(stateDir: string, seed: string, total: number): Promise<void> {
  const before = memoryBytes();
  const mesh = await startMember("host-new", stateDir, [seed]);
  const complete = Promise.withResolvers<void>();
  let count = 0;
  let connectedAt = 0;
  mesh.onMembers(() => {
    connectedAt ||= performance.now();
  });
  mesh.onChange(({ key }) => {
    if (!key.startsWith("vm/")) return;
    count += 1;
    if (count === total) complete.resolve();
  });
  mesh.announce();
  await complete.promise;
  const joinedMs = performance.now() - connectedAt;
  const { rss } = process.memoryUsage();
  say({ joinedMs, rssMb: rss / 2 ** 20, bytesPerEntry: (memoryBytes() - before) / total });
  await mesh.stop();
  process.disconnect();
}

/** After a collection. */
function memoryBytes(): number {
  (globalThis as { gc?: () => void }).gc?.();
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
}

// --- the run

const [, , role, ...roleArgs] = process.argv;
const running = new Set<ChildProcess>();

function start(...args: readonly string[]): ChildProcess {
  const child = fork(fileURLToPath(import.meta.url), args, { execArgv: ["--expose-gc"] });
  running.add(child);
  child.once("exit", (code) => {
    running.delete(child);
    if (code !== 0 && code !== null) throw new Error(`bench: ${args[0]} ended with ${code}`);
  });
  return child;
}

function hear(child: ChildProcess): Promise<Said> {
  return new Promise((resolve) => child.once("message", (said) => resolve(said as Said)));
}

async function runRound(
  stateDir: string,
  emptyDir: string,
  total: number,
): Promise<Required<Omit<Said, "address">> & { tickStallMs: number }> {
  const server = start("serve", stateDir);
  const { address = "" } = await hear(server);
  const ticker = start("tick");
  for (const child of [server, ticker]) child.send("begin");
  const joiner = start("join", emptyDir, address, String(total));
  const { joinedMs = Number.NaN, rssMb = Number.NaN, bytesPerEntry = Number.NaN } = await hear(joiner);
  const stalls = [server, ticker].map(hear);
  for (const child of [server, ticker]) child.send("end");
  const [serverSaid, tickerSaid] = await Promise.all(stalls);
  for (const child of [server, ticker, joiner]) child.kill();
  return {
    joinedMs,
    rssMb,
    bytesPerEntry,
    stallMs: serverSaid?.stallMs ?? Number.NaN,
    tickStallMs: tickerSaid?.stallMs ?? Number.NaN,
  };
}

async function run(): Promise<void> {
  const { values } = parseArgs({
    options: {
      hosts: { type: "string", default: "1000" },
      entries: { type: "string", default: "100" },
      bytes: { type: "string", default: "150" },
      rounds: { type: "string", default: "3" },
      json: { type: "boolean", default: false },
      help: { type: "boolean", default: false },
    },
  });
  if (values.help) {
    process.stdout.write(`${HELP}\n`);
    return;
  }
  const size = { hosts: Number(values.hosts), entries: Number(values.entries), bytes: Number(values.bytes) };
  const folder = await mkdtemp(join(tmpdir(), "grapevine-join-"));
  try {
    const stateDir = join(folder, "full");
    await generateState(stateDir, size);
    const rounds = [];
    for (let at = 0; at < Number(values.rounds); at += 1) {
      const emptyDir = join(folder, `empty-${at}`);
      const round = await runRound(stateDir, emptyDir, size.hosts * size.entries);
      rounds.push(
        Object.fromEntries(Object.entries(round).map(([key, value]) => [key, Math.round(value * 10) / 10])),
      );
    }
    process.stdout.write(`${JSON.stringify({ ...size, rounds }, null, values.json ? 0 : 2)}\n`);
  } finally {
    for (const child of running) child.kill();
    await rm(folder, { recursive: true });
  }
}

if (role === "serve") await serve(roleArgs[0] ?? "");
else if (role === "tick") tick();
else if (role === "join") await joinState(roleArgs[0] ?? "", roleArgs[1] ?? "", Number(roleArgs[2]));
else await run();
