// Protocol: the lines of JSON between the benchmark and a member that it measures, over the member's standard input and output.
// Times are milliseconds on CLOCK_MONOTONIC (`process.hrtime`) since an origin that all are told: processes of one machine share that
// clock, in containers too, since no engine gives them a time namespace. `performance.now()` would not do: each process has its own origin.

export type Program = "host" | "proxy" | "raw" | "streams" | "serf";

/** What a member is started with, as JSON in its argument. */
export interface MemberSetting {
  readonly name: string;
  readonly program: Program;
  /** At which it listens and others reach it: an IPv4 address, or a name that it looks up, as a container alone can its own. */
  readonly address: string;
  /** Its own, for its files; removed with it. */
  readonly folder: string;
  /** `process.hrtime.bigint()` at the origin. */
  readonly originNs: string;
  readonly config: MemberConfig;
}

/** What the program needs to know beside its place. */
export interface MemberConfig {
  /** Of hosts and proxies: the cluster's id, and members to meet first. */
  readonly cluster?: string;
  readonly seeds?: readonly string[];
  /** Of a host: how many there are in all, and which one it is, from 0. */
  readonly hosts?: number;
  readonly index?: number;
}

export interface Peer {
  readonly name: string;
  /** As it said when it was ready. */
  readonly contact: string;
}

/** A write that was done: when it was due, and when it was committed. */
export interface Write {
  /** Known to all members. */
  readonly id: string;
  readonly dueMs: number;
  readonly atMs: number;
}

/** When a member had it: null, never. `inForceMs` is a proxy's: its route table in force contained it. */
export interface Arrival {
  readonly id: string;
  readonly storedMs: number | null;
  readonly inForceMs: number | null;
}

/** Since the member's start, but for the memory, and the lag: since it was asked last. */
export interface Usage {
  readonly atMs: number;
  readonly cpuMs: number;
  readonly rssBytes: number;
}

export interface Load {
  /** Over TCP; null: not known. */
  readonly sentBytes: number | null;
  /** How late the event loop was; null: it has none. */
  readonly lag: { readonly p50Ms: number; readonly p99Ms: number } | null;
}

export interface Commands {
  /** Answered when it is connected to all of them; of `connects` a floor's writer connects to all, others only wait. */
  readonly meet: { readonly peers: readonly Peer[]; readonly writes: boolean };
  /** The first host: as the API of the same name (`POST /v1/voters/plan`, `…/install`). */
  readonly plan: { readonly hosts: readonly string[] };
  readonly install: { readonly link: string };
  /** The first host: deploys an app of so many VMs through its API, by the command line. */
  readonly deploy: { readonly vms: number };
  /** Answered when a host runs, and a proxy routes to, so many VMs that are healthy. */
  readonly vms: { readonly count: number };
  /** Writes at these times, whatever became of those before; answered when the last is committed. */
  readonly run: { readonly atMs: readonly number[]; readonly payloadBytes: number };
  /** Answered when all of them are here, or after the time. */
  readonly gather: { readonly ids: readonly string[]; readonly timeoutMs: number };
  readonly usage: Record<never, never>;
  readonly load: Record<never, never>;
  /** A host: its `/metrics`. A proxy: the same of its own. */
  readonly metrics: Record<never, never>;
  readonly stop: Record<never, never>;
}

export interface Answers {
  readonly meet: Record<never, never>;
  readonly plan: { readonly list: string };
  readonly install: Record<never, never>;
  readonly deploy: Record<never, never>;
  readonly vms: Record<never, never>;
  readonly run: { readonly writes: readonly Write[] };
  readonly gather: { readonly arrivals: readonly Arrival[] };
  readonly usage: Usage;
  readonly load: Load;
  readonly metrics: { readonly text: string };
  readonly stop: Record<never, never>;
}

export type CommandName = keyof Commands;

export type CommandLine = {
  readonly [Name in CommandName]: { readonly serial: number; readonly do: Name } & Commands[Name];
}[CommandName];

/** The first line of a member, then one for each command, in any order. */
export type MemberLine =
  | { readonly ready: string }
  | { readonly serial: number; readonly answer: Answers[CommandName] }
  | { readonly serial: number; readonly error: string };
