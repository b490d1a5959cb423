// Gate host: the agent's end of the link to its host's gate, a process beside it. The gate is told every certified record, how the
// voters are proven, and where the VMs are; it tells what it confirms. One gate at a time: a later one takes the place of the first.

import { chmodSync, rmSync } from "node:fs";
import { createServer, type Server, type Socket } from "node:net";
import type { Logger } from "pino";
import {
  type AppName,
  appKey,
  decodeRecord,
  encodeCommitted,
  encodeRecord,
  encodeVoterLink,
  type GateStanding,
  LocalLink,
  type Mesh,
  messageOf,
  type Registers,
  type ToAgent,
  type ToGate,
  toAgentShape,
  type VmPlace,
} from "../../mesh/index.ts";
import { readRecords } from "../read-records.ts";
import { entriesOf } from "./gate-entries.ts";
import { gateMetrics, type ToldByGate } from "./gate-metrics.ts";

export interface GateHostOptions {
  readonly cluster: string;
  /** Where the gate finds us: a socket in the file system. */
  readonly socketFile: string;
}

export interface GateHostDeps {
  readonly mesh: Mesh;
  readonly registers: Pick<Registers, "apps" | "directory">;
  /** Where the VMs of this host listen. */
  readonly places: () => readonly VmPlace[];
  /** What the gate confirms of these apps is another thing than before. */
  readonly onStandings: (standings: readonly GateStanding[]) => void;
  readonly logger: Logger;
}

/** The gate that is there, from its hello on. */
interface Gate {
  readonly link: LocalLink;
  readonly pid: number;
  readonly standings: Map<AppName, GateStanding>;
  told: ToldByGate;
}

const NOTHING_TOLD: ToldByGate = { counters: {}, closings: null };

export class GateHost {
  readonly #options: GateHostOptions;
  readonly #deps: GateHostDeps;
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  readonly #stopping = new AbortController();
  #gate: Gate | null = null;
  #isVmsDue = false;
  #ends: readonly (() => void)[] = [];

  constructor(options: GateHostOptions, deps: GateHostDeps) {
    this.#options = options;
    this.#deps = deps;
    this.#server = createServer((socket) => this.#accept(socket));
  }

  /** Once the VMs that survived are known. Rejects when the socket cannot be made. */
  async start(): Promise<void> {
    const { apps, directory } = this.#deps.registers;
    this.#ends = [
      apps.onApp(({ record, committed }) => this.#send(recordOf(record.app, committed))),
      directory.onAdopted((link) => {
        this.#send({ format: 1, kind: "voter-link", link: encodeVoterLink(link) });
        // All of them were committed anew under it: what proves them is newer than what the gate has.
        if (link.list.isSettled) this.#sendRecords();
      }),
    ];
    const { socketFile } = this.#options;
    // Of an agent that was killed: the state's lock says that none lives.
    rmSync(socketFile, { force: true });
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    this.#server.once("error", reject);
    this.#server.listen(socketFile, resolve);
    await promise;
    chmodSync(socketFile, 0o600);
  }

  /** A VM came, went, or listens elsewhere. What changes within one turn of the loop is one message. */
  vmsChanged(): void {
    if (this.#isVmsDue) return;
    this.#isVmsDue = true;
    setImmediate(() => {
      this.#isVmsDue = false;
      this.#sendVms();
    });
  }

  /** What the gate confirms, as it said last; none while it is away. */
  standings(): readonly GateStanding[] {
    return [...(this.#gate?.standings.values() ?? [])];
  }

  metrics(): readonly string[] {
    return gateMetrics(this.#gate?.told ?? null);
  }

  async stop(): Promise<void> {
    this.#stopping.abort();
    for (const end of this.#ends) end();
    for (const socket of this.#sockets) socket.destroy();
    if (this.#server.listening) await new Promise<void>((closed) => this.#server.close(() => closed()));
  }

  #accept(socket: Socket): void {
    this.#sockets.add(socket);
    socket.once("close", () => this.#sockets.delete(socket));
    const gone = new AbortController();
    let gate: Gate | null = null;
    const link = new LocalLink(socket, {
      onMessage: (bytes) => {
        const decoded = decodeRecord(toAgentShape, bytes);
        if (!decoded.ok) link.close(`it says what this release cannot read: ${decoded.error}`);
        else if (decoded.value.kind === "hello") gate = this.#greet(link, decoded.value, gone.signal);
        else if (gate !== null) this.#hear(gate, decoded.value);
      },
      onEnd: (reason) => {
        gone.abort();
        if (gate === null || this.#gate !== gate) return;
        this.#gate = null;
        this.#deps.logger.warn({ pid: gate.pid, reason }, "gate lost");
      },
    });
  }

  #greet(link: LocalLink, hello: Extract<ToAgent, { kind: "hello" }>, gone: AbortSignal): Gate | null {
    const { mesh, logger, registers } = this.#deps;
    const { host, cluster, pid, isBlank } = hello;
    if (host !== mesh.self.name || cluster !== this.#options.cluster) {
      logger.error({ host, cluster, pid }, "a gate of another host is at our socket: see its agent_socket");
      link.close("it is of another host");
      return null;
    }
    this.#gate?.link.close("another gate took its place");
    const gate: Gate = { link, pid, standings: new Map(), told: NOTHING_TOLD };
    this.#gate = gate;
    logger.info({ pid, isBlank }, "gate is there");
    for (const one of registers.directory.links)
      this.#send({ format: 1, kind: "voter-link", link: encodeVoterLink(one) });
    this.#sendVms();
    this.#sendRecords();
    if (isBlank) void this.#bringCurrent(gate, gone);
    return gate;
  }

  /** It knows nothing: it may have confirmed what gossip has not told here. */
  async #bringCurrent(gate: Gate, gone: AbortSignal): Promise<void> {
    try {
      await readRecords(this.#deps, AbortSignal.any([gone, this.#stopping.signal]));
      // What was closed there is not known: opening by an older record is not ours to dare.
      if (this.#deps.registers.apps.isAnyUnknown) throw new Error("this release cannot read all records");
      if (this.#gate !== gate) return;
      // What new voters signed anew is no news here, and may be to it: it takes nothing by the list before.
      this.#sendRecords();
      this.#send({ format: 1, kind: "current" });
    } catch (error) {
      if (gone.aborted || this.#stopping.signal.aborted) return;
      this.#deps.logger.error({ reason: messageOf(error) }, "gate cannot be opened");
    }
  }

  #hear(gate: Gate, message: ToAgent): void {
    switch (message.kind) {
      case "standings":
        for (const standing of message.standings) gate.standings.set(standing.app, standing);
        if (this.#gate === gate) this.#deps.onStandings(message.standings);
        return;
      case "record":
        this.#deps.registers.apps.take(message.key, message.value);
        return;
      case "ask-entries":
        if (this.#gate === gate) this.#sendEntries(message.app);
        return;
      case "counters":
        gate.told = { counters: message.counters, closings: message.closings ?? null };
        return;
      case "hello":
        return;
    }
  }

  #sendEntries(app: AppName): void {
    this.#send({ format: 1, kind: "entries", app, proofs: entriesOf(app, this.#deps) });
  }

  #sendVms(): void {
    this.#send({ format: 1, kind: "vms", vms: this.#deps.places() });
  }

  #sendRecords(): void {
    for (const { record, committed } of this.#deps.registers.apps.all())
      this.#send(recordOf(record.app, committed));
  }

  #send(message: ToGate): void {
    this.#gate?.link.send(encodeRecord(message));
  }
}

function recordOf(app: AppName, committed: Parameters<typeof encodeCommitted>[0]): ToGate {
  return { format: 1, kind: "record", key: appKey(app), value: encodeCommitted(committed) };
}
