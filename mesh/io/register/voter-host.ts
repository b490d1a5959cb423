// VoterHost: what a host keeps for the registers. It has a seat, an acceptor with its memory on disk, from when it is first asked
// for one; while the voter list names that seat this host is a voter: it answers, proposes, publishes, and settles lists.

import { randomBytes } from "node:crypto";
import { readdirSync } from "node:fs";
import { join } from "node:path";
import type { OwnerId } from "../../core/ids.ts";
import { VOTER_SEATS_MAX } from "../../limits.ts";
import { isVoterId, type VoterId } from "../../register/ballot.ts";
import type { RegisterName } from "../../register/certificate.ts";
import { decodeAsk, encodeAnswer } from "../../register/register-codec.ts";
import { messageOf } from "../../result.ts";
import { makeFolder } from "../make-folder.ts";
import { AcceptorDisk } from "./acceptor-disk.ts";
import { NO_MEMORY } from "./acceptor-file.ts";
import { ANSWER_TOPIC, ASK_TOPIC } from "./register-client.ts";
import type { RegisterContext } from "./register-context.ts";
import type { VoterDirectory } from "./voter-directory.ts";
import { NOT_A_VOTER, VoterSeat } from "./voter-seat.ts";

const SEAT_FILE = /^([0-9a-f]{16})\.sqlite$/;
const VOTER_ID_BYTES = 8;

export interface VoterHostDeps extends RegisterContext {
  readonly directory: VoterDirectory;
  /** Holds one file for each seat. Made when the first is. */
  readonly folder: string;
  readonly refusal: (register: RegisterName, record: Uint8Array) => string | null;
}

export class VoterHost {
  readonly #deps: VoterHostDeps;
  readonly #seats = new Map<VoterId, VoterSeat>();
  readonly #listeners = new Set<() => void>();
  #voter: VoterId | undefined;
  /** One at a time: two that open a seat at once would make two. */
  #offering: Promise<unknown> = Promise.resolve();
  #unsubscribe: () => void = () => undefined;
  #isClosed = false;

  /** Rejects with why a memory cannot be read, and what to do: a host that forgot what it promised must not vote. */
  static async open(deps: VoterHostDeps): Promise<VoterHost> {
    const host = new VoterHost(deps);
    try {
      for (const voter of seatsIn(deps.folder)) await host.#openFormerSeat(voter);
      return host;
    } catch (error) {
      await host.close();
      throw error;
    }
  }

  private constructor(deps: VoterHostDeps) {
    this.#deps = deps;
  }

  /** The seat that the list in force names; undefined: we are no voter. */
  get seat(): VoterSeat | undefined {
    return this.#voter === undefined ? undefined : this.#seats.get(this.#voter);
  }

  seatOf(voter: VoterId): VoterSeat | undefined {
    return this.#seats.get(voter);
  }

  start(): void {
    const { mesh, directory } = this.#deps;
    mesh.onTell(ASK_TOPIC, (message, from) => void this.#asked(message, from));
    this.#unsubscribe = directory.onAdopted(() => this.#look());
    this.#look();
  }

  /** Called when we became a voter, or ceased to be one. */
  onVoter(listener: () => void): void {
    this.#listeners.add(listener);
  }

  /**
   * The id of a seat that never promised anything, made now if there is none: whoever was a voter once comes back as another one,
   * since what it remembers may be of before a restore. Rejects when the disk fails.
   */
  offer(): Promise<VoterId> {
    const offered = this.#offering.then(() => this.#offer());
    this.#offering = offered.catch(() => undefined);
    return offered;
  }

  /** Nobody is answered any more. */
  async close(): Promise<void> {
    this.#isClosed = true;
    this.#unsubscribe();
    await this.#offering;
    await Promise.all([...this.#seats.values()].map((seat) => seat.close()));
  }

  async #offer(): Promise<VoterId> {
    for (const [voter, seat] of this.#seats) if (seat.isBlank && voter !== this.#voter) return voter;
    if (this.#seats.size >= VOTER_SEATS_MAX) {
      throw new Error(
        `${this.#deps.folder} holds ${VOTER_SEATS_MAX} memories of voters: stop this host, and remove those that are not in \`grapevine voters\``,
      );
    }
    makeFolder(this.#deps.folder);
    const voter = randomBytes(VOTER_ID_BYTES).toString("hex") as VoterId;
    await this.#openSeat(voter, { isNew: true });
    this.#look();
    return voter;
  }

  /** Without a memory in its file it is no seat: what it promised is not known. */
  async #openFormerSeat(voter: VoterId): Promise<void> {
    try {
      await this.#openSeat(voter, { isNew: false });
    } catch (error) {
      if (!messageOf(error).endsWith(NO_MEMORY)) throw error;
      this.#deps.logger.error({ voter, reason: messageOf(error) }, "a voter's memory is lost");
    }
  }

  async #openSeat(voter: VoterId, { isNew }: { readonly isNew: boolean }): Promise<void> {
    const { folder, cluster, mesh, directory } = this.#deps;
    const path = join(folder, `${voter}.sqlite`);
    const newVoter = isNew ? voter : null;
    const disk = await AcceptorDisk.open({ path, cluster, owner: mesh.self.owner, newVoter });
    for (const link of disk.links) directory.learn(link, mesh.self.owner);
    this.#seats.set(disk.voter, new VoterSeat({ ...this.#deps, disk }));
  }

  #look(): void {
    const { directory, mesh, logger } = this.#deps;
    const { list } = directory;
    const before = this.#voter;
    const named = list?.voters.find(({ owner }) => owner === mesh.self.owner)?.id;
    const isOurs = named !== undefined && this.#seats.has(named);
    this.#voter = isOurs ? named : undefined;
    if (named !== undefined && !isOurs) {
      const { name } = mesh.self;
      const advice = `\`grapevine voters remove ${name}\`, then \`grapevine voters add ${name}\``;
      logger.error({ voter: named }, `the memory of this voter is not on this disk: ${advice}`);
    }
    if (this.#voter !== before) for (const listener of this.#listeners) listener();
  }

  async #asked(message: Uint8Array, from: OwnerId): Promise<void> {
    const { mesh, logger, count } = this.#deps;
    if (this.#isClosed) return;
    const ask = decodeAsk(message);
    if (!ask.ok) {
      logger.debug({ from, reason: ask.error }, "question to the register refused");
      return;
    }
    const { serial, voter, request } = ask.value;
    try {
      // It may mean the voter that was here before this disk.
      const reply = (await this.#seats.get(voter)?.answer(request, from)) ?? NOT_A_VOTER;
      mesh.tell(from, ANSWER_TOPIC, encodeAnswer({ serial, voter, reply }));
    } catch (error) {
      if (this.#isClosed) return;
      count("register-disk-failed");
      logger.error({ err: error, reason: messageOf(error) }, "the voter's disk failed: it does not answer");
    }
  }
}

/** None if the folder is not there. */
function seatsIn(folder: string): readonly VoterId[] {
  try {
    const ids = readdirSync(folder).flatMap((file) => SEAT_FILE.exec(file)?.[1] ?? []);
    return ids.filter(isVoterId);
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ENOENT") return [];
    throw error;
  }
}
