// Register processes: a cluster of hosts that keep registers, each a process of its own, and what may befall it. What its members
// tell of voters is known here, so that one sees which of them could make a majority.

import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createClusterRoot } from "../../mesh/index.ts";
import { RegisterProcess } from "./register-process.ts";
import type { ToldList } from "./register-protocol.ts";

/** Of a wait: says what is lacking, where the test's own guard would only say that it hangs. */
const PATIENCE_MS = 60_000;
/** What `mesh/io/register/registers.ts` calls it. */
const VOTER_FOLDER = "voter";

export class RegisterProcesses {
  readonly names: readonly string[];
  readonly folder: string;
  readonly #root: { readonly cluster: string; readonly keyFile: string };
  readonly #running = new Map<string, RegisterProcess>();
  readonly #checks = new Set<() => void>();
  readonly #listeners = new Set<() => void>();
  readonly #abandon = (): void => this.abandon();

  /** None of them runs yet. `parent`: in which all that it makes is. */
  static async create(names: readonly string[], parent: string = tmpdir()): Promise<RegisterProcesses> {
    const folder = mkdtempSync(join(parent, "grapevine-registers-"));
    const root = await createClusterRoot(join(folder, "root"));
    if (!root.ok) throw new Error(root.error);
    const { id: cluster, keyFile } = root.value;
    return new RegisterProcesses(names, folder, { cluster, keyFile });
  }

  private constructor(
    names: readonly string[],
    folder: string,
    root: { readonly cluster: string; readonly keyFile: string },
  ) {
    process.once("exit", this.#abandon);
    this.names = names;
    this.folder = folder;
    this.#root = root;
  }

  // --- lives

  async start(name: string): Promise<RegisterProcess> {
    const stateDir = this.stateDir(name);
    mkdirSync(stateDir, { recursive: true });
    const { cluster, keyFile } = this.#root;
    const seeds = this.members.map(({ listen }) => listen);
    const options = { name, cluster, keyFile, stateDir, seeds };
    const member = await RegisterProcess.start(options, () => this.#changed());
    this.#running.set(name, member);
    this.#changed();
    return member;
  }

  /** The others know the first. Resolves when all are connected to each other. */
  async startAll(): Promise<void> {
    const [first = "", ...others] = this.names;
    await this.start(first);
    await Promise.all(others.map((name) => this.start(name)));
    const count = this.names.length;
    await this.until("all connected", () =>
      this.members.every(({ connected }) => connected.length === count),
    );
  }

  /** Resolves when they are voters and know it. */
  async nameVoters(voters: readonly string[]): Promise<void> {
    await this.member(voters[0] ?? "").ask("install", { voters });
    await this.until(`voters ${voters}`, () =>
      voters.every((name) => this.member(name).voters.seat !== null),
    );
  }

  /** Throws when it does not run. */
  member(name: string): RegisterProcess {
    const member = this.#running.get(name);
    if (member === undefined) throw new Error(`${name} does not run`);
    return member;
  }

  /** Those that run. */
  get members(): readonly RegisterProcess[] {
    return [...this.#running.values()].filter(({ isRunning }) => isRunning);
  }

  isRunning(name: string): boolean {
    return this.#running.get(name)?.isRunning === true;
  }

  async kill(name: string): Promise<void> {
    const member = this.member(name);
    this.#running.delete(name);
    const killed = member.kill();
    this.#changed();
    await killed;
  }

  /** All at once, by themselves. */
  async end(): Promise<void> {
    await Promise.all(this.members.map((member) => member.end()));
  }

  async dispose(): Promise<void> {
    await Promise.all(this.members.map((member) => member.kill()));
    process.off("exit", this.#abandon);
    rmSync(this.folder, { recursive: true, force: true });
  }

  /** In one go, when our process ends before `dispose`. */
  abandon(): void {
    for (const member of this.members) member.abandon();
    rmSync(this.folder, { recursive: true, force: true });
  }

  // --- disks

  stateDir(name: string): string {
    return join(this.folder, name);
  }

  /** All that it ever knew, its key too: it comes back as another member of that name. */
  wipe(name: string): void {
    rmSync(this.stateDir(name), { recursive: true });
  }

  /** What it promised as a voter; it is the same member still. */
  wipeVoter(name: string): void {
    rmSync(join(this.stateDir(name), VOTER_FOLDER), { recursive: true });
  }

  // --- voters

  /** The newest that any member that runs goes by. */
  get list(): ToldList | null {
    let newest: ToldList | null = null;
    for (const { voters } of this.members) {
      if (voters.list !== null && (newest === null || isNewer(voters.list, newest))) newest = voters.list;
    }
    return newest;
  }

  /** In order of rank: voters of that list that run and know that they are. */
  get voting(): readonly RegisterProcess[] {
    const ids = (this.list?.voters ?? []).map(({ id }) => id);
    return ids.flatMap((id) => this.members.find(({ voters }) => voters.seat === id) ?? []);
  }

  get hasMajority(): boolean {
    return this.voting.length * 2 > (this.list?.voters.length ?? 0);
  }

  // --- waits

  /** Called when anything changed that can be seen of members. Returns the way to unsubscribe. */
  onChange(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Resolves once `isTrue`, looked at when something changed; or when `look` is called. */
  async until(what: string, isTrue: () => boolean): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const check = (): void => {
      if (isTrue()) resolve();
    };
    const patience = setTimeout(
      () => reject(new Error(`waited in vain for ${what}\n${this.describe()}`)),
      PATIENCE_MS,
    );
    this.#checks.add(check);
    check();
    try {
      await promise;
    } finally {
      clearTimeout(patience);
      this.#checks.delete(check);
    }
  }

  /** Something else changed that a wait may be for. */
  look(): void {
    for (const check of this.#checks) check();
  }

  describe(): string {
    const lines = this.members.map(({ name, voters, connected, logs }) => {
      const { list, seat } = voters;
      const names = list?.voters.map((voter) => `${voter.name}=${voter.id.slice(0, 4)}`).join(" ");
      const known = list === null ? "no list" : `list ${list.number} (${names}) settled ${list.isSettled}`;
      return `${name}: ${known}, seat ${seat?.slice(0, 4)}, ${connected.length} connected\n  ${logs.slice(-5).join("\n  ")}`;
    });
    return lines.join("\n");
  }

  #changed(): void {
    for (const listener of this.#listeners) listener();
    this.look();
  }
}

function isNewer(left: ToldList, right: ToldList): boolean {
  return left.number > right.number || (left.number === right.number && left.isSettled && !right.isSettled);
}
