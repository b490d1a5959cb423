// Register member: one host that keeps registers, over a real mesh, as a process of its own. `register-protocol.ts` says what it hears
// on stdin and says on stdout. It ends with its stdin, so that nothing outlives a test that was killed; or by kill -9.

import { enableCompileCache } from "node:module";
import { createInterface } from "node:readline";
import { pino } from "pino";
import {
  type AppName,
  type AppRecord,
  appName,
  type CommittedApp,
  HostRegisters,
  memberName,
  messageOf,
  type Register,
  Registers,
  type Result,
  type RunningMesh,
  signVoterList,
  startMesh,
} from "../../mesh/index.ts";
import type { VoterId } from "../../mesh/register/ballot.ts";
import type { Voter, VoterList } from "../../mesh/register/voter-list.ts";
import { encodeVoterList } from "../../mesh/register/voter-list-codec.ts";
import { appRecord, encodedRecord } from "./app-record.ts";
import type {
  RegisterCommandLine,
  RegisterCommandName,
  RegisterCommands,
  RegisterLine,
  RegisterMemberOptions,
  TimedOutcome,
  ToldList,
  ToldLoad,
  ToldOutcome,
  ToldRecord,
  ToldVoters,
} from "./register-protocol.ts";

const ECHO_TOPIC = "bench-echo";
const ECHOED_TOPIC = "bench-echoed";
const NEVER = new AbortController().signal;

interface Member {
  readonly options: RegisterMemberOptions;
  readonly mesh: RunningMesh;
  readonly registers: Registers;
  readonly host: HostRegisters;
}

async function run(options: RegisterMemberOptions): Promise<void> {
  const { name, cluster, stateDir, seeds } = options;
  const logger = pino({ level: "warn" }, { write: tellLog });
  const place = { stateDir, listen: ["/ip4/127.0.0.1/tcp/0"], advertise: [], seeds };
  const mesh = await startMesh({ cluster, name: memberName(name), role: "host", ...place }, { logger });
  const registers = new Registers({ cluster }, { mesh, logger });
  const host = await HostRegisters.open(registers, { stateDir });
  const member = { options, mesh, registers, host };
  registers.start();
  host.start();
  mesh.onTell(ECHO_TOPIC, (message, from) => mesh.tell(from, ECHOED_TOPIC, message));
  mesh.announce();
  const [listen = ""] = mesh.listenAddresses;
  tell({ event: "ready", owner: mesh.self.owner, listen, ...votersOf(member) });
  const tellVoters = (): void => tell({ event: "voters", ...votersOf(member) });
  registers.directory.onAdopted(tellVoters);
  host.onVoter(tellVoters);
  const tellLinks = (): void => {
    const connected = mesh.members().flatMap((other) => (other.connected ? [other.owner] : []));
    tell({ event: "links", connected });
  };
  tellLinks();
  mesh.onMembers(tellLinks);
  for await (const line of createInterface({ input: process.stdin }))
    void obey(member, JSON.parse(line) as RegisterCommandLine);
  process.exit();
}

type Handler<Name extends RegisterCommandName> = (
  member: Member,
  ask: RegisterCommands[Name]["ask"],
) => Promise<RegisterCommands[Name]["answer"]>;

const HANDLERS: { readonly [Name in RegisterCommandName]: Handler<Name> } = {
  install,
  add: async ({ host }, { voter }) => {
    const [seat] = await seats(host, [voter]);
    if (seat === undefined) throw new Error(`${voter} offers no seat`);
    return toldList(unwrap(await host.changeVoters({ kind: "add", voter: seat }, NEVER)));
  },
  remove: async ({ host }, { id }) =>
    toldList(unwrap(await host.changeVoters({ kind: "remove", id: id as VoterId }, NEVER))),
  swap: ({ host }, ask) => timed(() => swap(registerOf(host), ask)),
  read: ({ host }, { app }) =>
    timed(async () => ({ kind: "read", shown: told(await registerOf(host).read(appName(app))) })),
  load: async ({ host }, { apps, forMs }) =>
    joined(await Promise.all(apps.map((app) => load(registerOf(host), appName(app), forMs)))),
  echo,
};

async function obey(member: Member, { serial, do: name, ...ask }: RegisterCommandLine): Promise<void> {
  try {
    const handler = HANDLERS[name] as (member: Member, ask: object) => Promise<unknown>;
    tell({ event: "answer", serial, answer: await handler(member, ask) });
  } catch (error) {
    tell({ event: "failed", serial, reason: messageOf(error) });
  }
}

// --- voters

async function install({ options, host }: Member, { voters }: { readonly voters: readonly string[] }) {
  const { keyFile, cluster } = options;
  const list = unwrap(await host.planFirst(voters.map(memberName), NEVER));
  const link = unwrap(await signVoterList({ keyFile, cluster }, encodeVoterList(list)));
  return toldList(unwrap(await host.install(link, NEVER)));
}

async function seats(host: HostRegisters, names: readonly string[]): Promise<readonly Voter[]> {
  return unwrap(await host.seatsOf(names.map(memberName), NEVER));
}

function votersOf({ registers, mesh, host }: Member): ToldVoters {
  const { list } = registers.directory;
  const isVoting = host.register !== null;
  const seat = list?.voters.find(({ owner }) => isVoting && owner === mesh.self.owner)?.id ?? null;
  return { list: list === undefined ? null : toldList(list), seat };
}

function toldList({ number, isSettled, voters }: VoterList): ToldList {
  return { number, isSettled, voters: voters.map(({ id, name }) => ({ id, name })) };
}

// --- operations

function registerOf({ register }: HostRegisters): Register {
  if (register === null) throw new Error("this host is no voter");
  return register;
}

async function swap(
  register: Register,
  { app, expectedEpoch, release }: RegisterCommands["swap"]["ask"],
): Promise<ToldOutcome> {
  const name = appName(app);
  const result = await register.swap(name, expectedEpoch, appRecord(name, release));
  switch (result.code) {
    case "committed":
      return { kind: "committed", shown: toldOf(result.committed) };
    case "conflict":
      return { kind: "conflict", shown: told(result.current) };
    case "unknown":
    case "unavailable":
      return { kind: result.code };
  }
}

async function timed(operate: () => Promise<ToldOutcome>): Promise<TimedOutcome> {
  const calledUs = nowUs();
  try {
    const outcome = await operate();
    return { calledUs, returnedUs: nowUs(), outcome };
  } catch (error) {
    return { calledUs, returnedUs: nowUs(), outcome: { kind: "refused", reason: messageOf(error) } };
  }
}

function told(committed: CommittedApp | null): ToldRecord | null {
  return committed === null ? null : toldOf(committed);
}

function toldOf({ epoch, record }: CommittedApp): ToldRecord {
  return { epoch, release: record.lastRelease };
}

// --- measurements

async function load(register: Register, app: AppName, forMs: number): Promise<ToldLoad> {
  let epoch = (await register.read(app))?.epoch ?? 0;
  const tookUs: number[] = [];
  let failed = 0;
  const until = performance.now() + forMs;
  while (performance.now() < until) {
    const record: AppRecord = appRecord(app, epoch + 1);
    const calledUs = nowUs();
    const result = await register.swap(app, epoch, record);
    if (result.code === "committed") {
      tookUs.push(nowUs() - calledUs);
      ({ epoch } = result.committed);
    } else {
      failed += 1;
      epoch = (await register.read(app))?.epoch ?? 0;
    }
  }
  return { tookUs, failed };
}

async function echo(
  { mesh }: Member,
  { to, forMs }: { readonly to: string; readonly forMs: number },
): Promise<ToldLoad> {
  const target = mesh.members().find(({ name }) => name === to)?.owner;
  if (target === undefined) throw new Error(`there is no member ${to}`);
  const message = encodedRecord(appName("echo"));
  const tookUs: number[] = [];
  const until = performance.now() + forMs;
  while (performance.now() < until) {
    const echoed = Promise.withResolvers<void>();
    mesh.onTell(ECHOED_TOPIC, () => echoed.resolve());
    const calledUs = nowUs();
    if (!mesh.tell(target, ECHO_TOPIC, message)) throw new Error(`${to} is not connected`);
    await echoed.promise;
    tookUs.push(nowUs() - calledUs);
  }
  return { tookUs, failed: 0 };
}

function joined(loads: readonly ToldLoad[]): ToldLoad {
  return {
    tookUs: loads.flatMap(({ tookUs }) => tookUs),
    failed: loads.reduce((sum, { failed }) => sum + failed, 0),
  };
}

// --- lines

function nowUs(): number {
  return Number(process.hrtime.bigint()) / 1_000;
}

function unwrap<Value>(result: Result<Value>): Value {
  if (!result.ok) throw new Error(result.error);
  return result.value;
}

function tellLog(line: string): void {
  tell({ event: "log", msg: line.trimEnd() });
}

function tell(line: RegisterLine): void {
  process.stdout.write(`${JSON.stringify(line)}\n`);
}

enableCompileCache();
await run(JSON.parse(process.argv[2] ?? "") as RegisterMemberOptions);
