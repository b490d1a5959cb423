// Registers: a member's part in the cluster's registers. Every member follows the voter list and takes certified records; a host
// may be a voter besides, and is one while the list names it.

import { join } from "node:path";
import type { Logger } from "pino";
import type { MemberName } from "../../core/ids.ts";
import { RESTORE_LIST_GAP, VOTER_FETCH_MS, VOTER_JOIN_MS } from "../../limits.ts";
import type { MemberView, Mesh } from "../../mesh.ts";
import { appOfKey, decodeAppRecord } from "../../records/app.ts";
import { decodeNames, NAMES_REGISTER } from "../../records/names.ts";
import type { RegisterName } from "../../register/certificate.ts";
import type { Register } from "../../register/register.ts";
import { VOTERS_REGISTER } from "../../register/settle.ts";
import {
  describeVoterList,
  type Voter,
  type VoterChange,
  type VoterList,
} from "../../register/voter-list.ts";
import { decodeVoterList } from "../../register/voter-list-codec.ts";
import { fail, messageOf, ok, type Result } from "../../result.ts";
import { Counters } from "../counters.ts";
import { registersAtMajority, serveRegisters } from "./ask-registers.ts";
import { readBackup } from "./backup.ts";
import { CertifiedApps } from "./certified-apps.ts";
import { serveLeases } from "./lease-read.ts";
import { RecordPublisher } from "./record-publisher.ts";
import { RegisterClient } from "./register-client.ts";
import type { RegisterContext } from "./register-context.ts";
import { serveRegisterRead } from "./register-read.ts";
import { ReplicatedRegister } from "./replicated-register.ts";
import { type Collected, collect, type Seeded, seed, serveCertified } from "./restore.ts";
import { VoterDirectory } from "./voter-directory.ts";
import { VoterHost } from "./voter-host.ts";
import { VoterLists } from "./voter-lists.ts";
import { askSeat, serveSeats } from "./voter-seats.ts";

const VOTER_FOLDER = "voter";

export interface RegistersOptions {
  /** The cluster's id. */
  readonly cluster: string;
}

export interface RegistersDeps {
  readonly mesh: Mesh;
  readonly logger: Logger;
}

/** What every member has. */
export class Registers {
  readonly directory: VoterDirectory;
  readonly apps: CertifiedApps;
  readonly context: RegisterContext;
  readonly #counters = new Counters();

  constructor({ cluster }: RegistersOptions, { mesh, logger }: RegistersDeps) {
    this.context = { mesh, cluster, logger, count: this.#counters.count };
    this.directory = new VoterDirectory(this.context);
    this.apps = new CertifiedApps({ ...this.context, directory: this.directory });
  }

  /** In order of rank; empty: no voters were ever named, as far as we know. */
  get voterNames(): readonly MemberName[] {
    return (this.directory.list?.voters ?? []).map(({ name }) => name);
  }

  /** Takes what the store has, and what comes. Before whoever reads records from it subscribes to the mesh. */
  start(): void {
    this.directory.start();
    this.apps.start();
    serveCertified(this.context, this.apps);
  }

  /** Takes the lists and records of a backup. Fails, with nothing taken, if it is not of this cluster, or cannot be read. */
  takeBackup(backup: unknown): Result<null> {
    const records = readBackup(this.context, this.directory, backup);
    if (!records.ok) return records;
    for (const record of records.value) this.apps.takeUnnamed(record);
    return ok(null);
  }

  metrics(): Record<string, number> {
    return Object.fromEntries(this.#counters.entries());
  }
}

/** What a host has besides. */
export class HostRegisters {
  readonly #registers: Registers;
  readonly #host: VoterHost;
  readonly #register: ReplicatedRegister;
  readonly #publisher: RecordPublisher;
  readonly #lists: VoterLists;
  readonly #client: RegisterClient;
  #isVoting = false;

  /** Rejects when a voter's memory cannot be read. Call before `registers.start`: a voter's lists are on its disk. */
  static async open(
    registers: Registers,
    { stateDir }: { readonly stateDir: string },
  ): Promise<HostRegisters> {
    const { context, directory } = registers;
    const folder = join(stateDir, VOTER_FOLDER);
    return new HostRegisters(registers, await VoterHost.open({ ...context, directory, folder, refusal }));
  }

  private constructor(registers: Registers, host: VoterHost) {
    const { context, directory, apps } = registers;
    this.#registers = registers;
    this.#host = host;
    const isFirst = (): boolean => directory.voting()[0]?.owner === context.mesh.self.owner;
    const client = new RegisterClient({ ...context, directory, seat: () => host.seat, random: Math.random });
    this.#client = client;
    this.#publisher = new RecordPublisher({ ...context, apps, isFirst });
    const publish = this.#publisher.publishSoon.bind(this.#publisher);
    const register = new ReplicatedRegister({ ...context, client, apps, directory, publish });
    this.#register = register;
    this.#lists = new VoterLists({
      ...context,
      client,
      directory,
      isFirst,
      onCommitted: (name, committed) => {
        const app = appOfKey(name);
        if (app !== null) register.take(app, committed);
      },
    });
  }

  /** Null: this host is no voter. */
  get register(): Register | null {
    return this.#isVoting ? this.#register : null;
  }

  start(): void {
    const { context } = this.#registers;
    serveSeats(context, () => this.#host.offer());
    serveRegisters(context, (voter) => this.#host.seatOf(voter));
    serveRegisterRead({ ...context, apps: this.#registers.apps, register: () => this.register });
    serveLeases(context, () => this.register);
    this.#client.start();
    this.#host.onVoter(() => this.#look());
    this.#host.start();
    this.#look();
  }

  /** Called when this host became a voter, or ceased to be one. */
  onVoter(listener: () => void): void {
    this.#host.onVoter(listener);
  }

  /** These hosts as voters, by name, under ids that no list ever named. Fails with why one can be none. */
  async seatsOf(names: readonly MemberName[], signal: AbortSignal): Promise<Result<readonly Voter[]>> {
    const { mesh } = this.#registers.context;
    const hosts = await Promise.all(names.map((name) => connectedMember(mesh, name, signal)));
    const voters: Voter[] = [];
    for (const [at, host] of hosts.entries()) {
      if (host === undefined) return fail(`there is no host ${names[at]}: \`grapevine members\` lists them`);
      const seat = await askSeat(mesh, host, signal);
      if (!seat.ok) return seat;
      voters.push(seat.value);
    }
    return ok(voters);
  }

  /** The first list of a cluster, for the root key to sign. Fails if there are voters already, as far as anybody here knows. */
  async planFirst(names: readonly MemberName[], signal: AbortSignal): Promise<Result<VoterList>> {
    const { context, directory } = this.#registers;
    // First all that is named is met, and asked whether there are voters already.
    await Promise.all(names.map((name) => connectedMember(context.mesh, name, signal)));
    await this.#fetchLists(signal);
    const { list } = directory;
    if (list !== undefined) return fail(`there are voters already: ${describeVoterList(list)}`);
    const voters = await this.seatsOf(names, signal);
    // Nothing was committed before it.
    return voters.ok ? ok({ number: 1, voters: voters.value, isSettled: true }) : voters;
  }

  /** A list that begins the chain anew, for the root key to sign. Fails while a majority of the voters answers. */
  async planRestored(names: readonly MemberName[], signal: AbortSignal): Promise<Result<VoterList>> {
    const { context, directory } = this.#registers;
    await this.#fetchLists(signal);
    const { list } = directory;
    if (list !== undefined) {
      const answers = await registersAtMajority(context, list, signal).then(
        () => true,
        () => false,
      );
      if (answers) return fail(`a majority of the voters answers: ${describeVoterList(list)}`);
    }
    const voters = await this.seatsOf(names, signal);
    const number = (list?.number ?? 0) + RESTORE_LIST_GAP;
    return voters.ok ? ok({ number, voters: voters.value, isSettled: false }) : voters;
  }

  /** Puts a list that the root key signed in force, here and at the voters that it names. */
  async install(link: Uint8Array, signal: AbortSignal): Promise<Result<VoterList>> {
    const { directory, context } = this.#registers;
    const refused = directory.learn(link, context.mesh.self.owner);
    if (refused !== null) return fail(refused);
    const { list } = directory;
    if (list === undefined) return fail("it is no list that the root key signed");
    for (const { owner, name } of list.voters) {
      try {
        if (owner !== context.mesh.self.owner) await directory.offer(owner, link, signal);
      } catch (error) {
        return fail(`${name} does not know of it: ${messageOf(error)}`);
      }
    }
    return ok(list);
  }

  /** Takes what all members hold. Before a list that begins anew: under it, what was committed before counts no more. */
  collect(signal: AbortSignal): Promise<Collected> {
    const { context, apps, directory } = this.#registers;
    return collect({ ...context, apps, directory }, signal);
  }

  /** At a voter, under a list that begins anew: commits what is held of each app, and settles the list. */
  async restore(signal: AbortSignal): Promise<Result<Seeded>> {
    const { context, apps, directory } = this.#registers;
    if (!this.#isVoting) return fail("this host is no voter");
    if (!directory.isRestoring)
      return fail("no list that begins anew is in force: nothing is to be restored");
    const own = { client: this.#client, register: this.#register };
    const seeded = await seed({ ...context, apps, directory, ...own }, signal);
    if (!seeded.ok) return seeded;
    const settled = await this.#lists.settle(signal);
    return settled.ok ? seeded : settled;
  }

  /** At a voter. The next list, in force and settled, or why there is none. */
  async changeVoters(change: VoterChange, signal: AbortSignal): Promise<Result<VoterList>> {
    if (!this.#isVoting) return fail("this host is no voter");
    return this.#lists.change(change, signal);
  }

  /** Before `stop`: whoever waits for an operation hears now that it is given up. */
  giveUp(): void {
    this.#client.stop();
  }

  async stop(): Promise<void> {
    this.#client.stop();
    this.#publisher.stop();
    await this.#lists.stop();
    await this.#host.close();
  }

  async #fetchLists(signal: AbortSignal): Promise<void> {
    const { context, directory } = this.#registers;
    const others = context.mesh.members().filter(({ connected, self }) => connected && !self);
    const patience = AbortSignal.any([signal, AbortSignal.timeout(VOTER_FETCH_MS)]);
    await Promise.allSettled(others.map(({ owner }) => directory.fetched(owner, patience)));
  }

  #look(): void {
    const isVoting = this.#host.seat !== undefined;
    if (isVoting === this.#isVoting) return;
    this.#isVoting = isVoting;
    if (isVoting) {
      this.#registers.directory.publish();
      this.#publisher.start();
      this.#lists.start();
    } else {
      this.#publisher.stop();
      void this.#lists.stop();
    }
  }
}

/** Once it is connected; after a while as it is then; undefined: there is none of that name. */
async function connectedMember(
  mesh: Mesh,
  name: MemberName,
  signal: AbortSignal,
): Promise<MemberView | undefined> {
  const find = (): MemberView | undefined => mesh.members().find((member) => member.name === name);
  const { promise: connected, resolve } = Promise.withResolvers<void>();
  const look = (): void => {
    if (find()?.connected === true) resolve();
  };
  const unsubscribe = mesh.onMembers(look);
  const timer = setTimeout(resolve, VOTER_JOIN_MS);
  signal.addEventListener("abort", () => resolve(), { once: true });
  look();
  await connected;
  clearTimeout(timer);
  unsubscribe();
  return find();
}

/** Why this release cannot be the keeper of such a record; null: it can. */
function refusal(register: RegisterName, record: Uint8Array): string | null {
  const app = appOfKey(register);
  if (app !== null) {
    const decoded = decodeAppRecord(record);
    if (!decoded.ok) return decoded.error;
    return decoded.value.app === app ? null : `it is the record of ${decoded.value.app}`;
  }
  if (register === NAMES_REGISTER) return faultOf(decodeNames(record));
  if (register === VOTERS_REGISTER) return faultOf(decodeVoterList(record));
  return `this release has no register ${register}`;
}

function faultOf(decoded: Result<unknown>): string | null {
  return decoded.ok ? null : decoded.error;
}
