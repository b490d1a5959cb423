// Mesh processes: a cluster of meshes, each a process of its own, and what may befall it. The cluster knows what each owner
// wrote, and with that what all must hold in the end.

import { cpSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { isDeepStrictEqual } from "node:util";
import { expect } from "vitest";
import { ForwarderNetwork } from "./forwarder-network.ts";
import type { MemberNetwork, PartState } from "./member-network.ts";
import { MeshProcess } from "./mesh-process.ts";
import { type HeldEntry, type MeshDump, type MeshMemberOptions, valueHash } from "./mesh-protocol.ts";

/** Of a wait: says what is lacking, where the test's own guard would only say that it hangs. */
const PATIENCE_MS = 30_000;
/** What `mesh/io/identity.ts` calls it. */
const KEY_FILE = "mesh-key";
/** Metrics that no member has that met only members which keep the rules. */
const REFUSALS =
  /^(?:refused-root|refused-signature|refused-gossip-signature|refused-frame-.*|repairs|twins)$/;

/** How often a member looks whether its metrics changed. */
const METRICS_INTERVAL_MS = 50;

export interface MeshProcessesOptions extends Readonly<Partial<MeshMemberOptions["bounds"]>> {
  /** 0: never, only a dump has them. */
  readonly metricsIntervalMs?: number;
  /** Of a wait. Default: 30 s. */
  readonly patienceMs?: number;
}

export type Texts = Readonly<Record<string, string>>;

export class MeshProcesses {
  readonly names: readonly string[];
  readonly #options: MeshProcessesOptions;
  readonly #folder = mkdtempSync(join(tmpdir(), "grapevine-faults-"));
  #network: MemberNetwork | undefined;
  readonly #running = new Map<string, MeshProcess>();
  /** Hashes of the live entries of each owner that ever wrote, by key, as its last life has them. */
  readonly #written = new Map<string, Map<string, string>>();
  readonly #past: MeshProcess[] = [];
  readonly #checks = new Set<() => void>();
  #isCheckDue = false;
  readonly #abandon = (): void => this.abandon();

  /** None of them runs yet. The network is by forwarders, unless another is given. */
  static async create(
    names: readonly string[],
    options: MeshProcessesOptions = {},
    network?: MemberNetwork,
  ): Promise<MeshProcesses> {
    const cluster = new MeshProcesses(names, options);
    const portOf = (name: string) => cluster.#running.get(name)?.port;
    cluster.#network = network ?? (await ForwarderNetwork.create(names, portOf));
    return cluster;
  }

  private constructor(names: readonly string[], options: MeshProcessesOptions) {
    process.once("exit", this.#abandon);
    this.names = names;
    this.#options = options;
  }

  get network(): MemberNetwork {
    if (this.#network === undefined) throw new Error("no network");
    return this.#network;
  }

  // --- lives

  /** Starts it, writes `texts` and announces: what a member does that knows from elsewhere what it owns. */
  async start(name: string, texts: Texts = {}, clockOffsetMs = 0): Promise<MeshProcess> {
    const { prefix, ...place } = this.network.place(name);
    const { metricsIntervalMs = METRICS_INTERVAL_MS, patienceMs: _, ...bounds } = this.#options;
    const options = {
      name,
      stateDir: this.stateDir(name),
      clockOffsetMs,
      metricsIntervalMs,
      bounds,
      ...place,
    };
    const member = await MeshProcess.start(options, prefix, () => this.#checkSoon());
    this.#running.set(name, member);
    this.#written.set(member.owner, new Map());
    await this.write(name, texts);
    await member.ask({ do: "announce" });
    return member;
  }

  async startAll(textsOf: (name: string) => Texts, names: readonly string[] = this.names): Promise<void> {
    await Promise.all(names.map((name) => this.start(name, textsOf(name))));
  }

  member(name: string): MeshProcess {
    const member = this.#running.get(name);
    if (member === undefined) throw new Error(`${name} does not run`);
    return member;
  }

  get members(): readonly MeshProcess[] {
    return [...this.#running.values()];
  }

  async kill(name: string): Promise<void> {
    await this.member(name).kill();
    this.#bury(name);
  }

  async stopMember(name: string): Promise<void> {
    await this.member(name).stop();
    this.#bury(name);
  }

  async dispose(): Promise<void> {
    for (const member of this.members) member.thaw();
    await Promise.all(this.members.map((member) => member.kill()));
    await this.network.dispose();
    process.off("exit", this.#abandon);
    rmSync(this.#folder, { recursive: true, force: true });
  }

  /** In one go, when our process ends before `dispose`. */
  abandon(): void {
    for (const member of this.members) member.end();
    this.#network?.abandon();
    rmSync(this.#folder, { recursive: true, force: true });
  }

  #bury(name: string): void {
    this.#past.push(this.member(name));
    this.#running.delete(name);
  }

  // --- disks

  stateDir(name: string): string {
    return join(this.#folder, name);
  }

  wipe(name: string): void {
    rmSync(this.stateDir(name), { recursive: true });
  }

  wipeAllButKey(name: string): void {
    const folder = this.stateDir(name);
    for (const file of readdirSync(folder))
      if (file !== KEY_FILE) rmSync(join(folder, file), { recursive: true });
  }

  /** Returns the way to put it back in the place of what is there then. */
  image(name: string): () => void {
    const image = mkdtempSync(join(this.#folder, "image-"));
    cpSync(this.stateDir(name), image, { recursive: true });
    return () => {
      this.wipe(name);
      cpSync(image, this.stateDir(name), { recursive: true });
    };
  }

  // --- links

  /** Takes all links between the two sides; all others are as they were. */
  part(left: readonly string[], right: readonly string[], state: PartState = "cut"): void {
    this.network.part(left, right, state);
  }

  heal(): void {
    this.network.heal();
  }

  /** Each sees exactly those of its side. */
  untilParted(...sides: readonly (readonly string[])[]): Promise<void> {
    return this.until(`sides ${JSON.stringify(sides)}`, () =>
      sides.every((side) => {
        const owners = side.map((name) => this.member(name).owner);
        return side.every((name) => hasExactly(this.member(name).connected, owners));
      }),
    );
  }

  /** All that run are connected to each other. */
  untilFull(): Promise<void> {
    return this.untilParted([...this.#running.keys()]);
  }

  // --- writes

  /** Resolves when all are in its own store. */
  async write(name: string, texts: Readonly<Record<string, string | null>>): Promise<void> {
    const member = this.member(name);
    await member.ask({ do: "write", entries: Object.entries(texts) });
    const written = this.#written.get(member.owner);
    for (const [key, text] of Object.entries(texts)) {
      if (text === null) written?.delete(key);
      else written?.set(key, valueHash(text));
    }
  }

  /** Whether `observer` shows `text` of that owner, or (null) nothing. */
  shows(observer: string, owner: string, key: string, text: string | null): boolean {
    return (
      this.member(observer).watch.entry(owner, key)?.hash === (text === null ? undefined : valueHash(text))
    );
  }

  /** Until all of `observers` show exactly what `name` wrote. */
  untilShown(name: string, observers: readonly string[]): Promise<void> {
    const { owner } = this.member(name);
    return this.until(`${name}'s writes at ${observers.join(", ")}`, () =>
      observers.every((observer) => this.#showsAll(this.member(observer), owner)),
    );
  }

  // --- the end

  /** All that run show all that was written, whoever is connected. */
  get isEqual(): boolean {
    const owners = [...this.#written.keys()];
    return this.members.every((member) => owners.every((owner) => this.#showsAll(member, owner)));
  }

  /** All that run are connected to each other. */
  get isFull(): boolean {
    const owners = this.members.map(({ owner }) => owner);
    return this.members.every(({ connected }) => hasExactly(connected, owners));
  }

  /**
   * Waits until all that run are connected and show all that was written, then compares what their stores hold with it and
   * with each other, versions included, and with what their changes told. Nothing that must hold was broken on the way.
   */
  async expectEqual(): Promise<void> {
    await this.untilFull();
    const dumps = await this.#equalDumps();
    const expected = [...this.#written].flatMap(([owner, hashes]) =>
      [...hashes].map(([key, hash]) => `${owner} ${key} ${hash}`),
    );
    for (const [at, { entries }] of dumps.entries()) {
      const values = entries.filter(isWritten).map(({ owner, key, hash }) => `${owner} ${key} ${hash}`);
      expect(values.sort()).toEqual(expected.toSorted());
      expect(entries).toEqual(dumps[0]?.entries);
      expect(entries.toSorted(byPlace)).toEqual(heldBy(this.members[at]).toSorted(byPlace));
    }
    expect(this.#violations()).toEqual([]);
    // Nobody handed on what its owner did not sign: a mesh that mends that ends in equal values as well.
    const refused = dumps.map(({ metrics }) => Object.keys(metrics).filter((name) => REFUSALS.test(name)));
    expect(refused.flat()).toEqual([]);
  }

  /** A member that was suspected objects in its own entry when it hears of it, which may be while all are asked what they hold. */
  async #equalDumps(): Promise<readonly MeshDump[]> {
    for (;;) {
      await this.until(
        "equal values everywhere",
        () => this.isEqual && new Set(this.#memberEntries()).size === 1,
      );
      const before = this.#memberEntries();
      const dumps = await Promise.all(this.members.map((member) => member.dump()));
      if (isDeepStrictEqual(before, this.#memberEntries())) return dumps;
    }
  }

  /** Of each that runs, which entry it holds of each member itself. */
  #memberEntries(): readonly string[] {
    return this.members.map(({ watch }) => {
      const own = [...watch.held.values()].flatMap((entries) => entries.get("member") ?? []);
      return JSON.stringify(own.toSorted(byPlace));
    });
  }

  #violations(): readonly string[] {
    return [...this.#past, ...this.members].flatMap(({ watch }) => watch.violations);
  }

  #showsAll({ watch }: MeshProcess, owner: string): boolean {
    const hashes = this.#written.get(owner) ?? new Map<string, string>();
    const held = watch.held.get(owner);
    // And its member entry.
    if ((held?.size ?? 0) !== hashes.size + 1) return false;
    return [...hashes].every(([key, hash]) => held?.get(key)?.hash === hash);
  }

  /** Resolves once `isTrue`, looked at when something was heard of a member. Rejects when an invariant was broken. */
  async until(what: string, isTrue: () => boolean): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const check = (): void => {
      const violations = this.#violations();
      if (violations.length > 0) reject(new Error(`before ${what}:\n${violations.slice(0, 5).join("\n")}`));
      else if (isTrue()) resolve();
    };
    const patience = setTimeout(
      () => reject(new Error(`waited in vain for ${what}\n${this.#describe()}`)),
      this.#options.patienceMs ?? PATIENCE_MS,
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

  untilCounted(name: string, counter: string, atLeast: number): Promise<void> {
    return this.until(`${counter} of ${name}`, () => (this.member(name).metrics[counter] ?? 0) >= atLeast);
  }

  /** Once a turn of the event loop, however many lines came in it. */
  #checkSoon(): void {
    if (this.#isCheckDue) return;
    this.#isCheckDue = true;
    setImmediate(() => {
      this.#isCheckDue = false;
      for (const check of this.#checks) check();
    });
  }

  #describe(): string {
    const lines = this.members.map(({ name, owner, connected, watch, logs }) => {
      const held = [...watch.held].map(([of, entries]) => `${of.slice(-4)}:${entries.size}`);
      const links = connected.map((other) => other.slice(-4));
      return `${name} ${owner.slice(-4)} links=${links} holds ${held.join(" ")} logs=${logs.join("; ")}`;
    });
    const written = [...this.#written].map(([owner, hashes]) => `${owner.slice(-4)}:${hashes.size}+1`);
    return [...lines, `written ${written.join(" ")}`].join("\n");
  }
}

function isWritten({ key }: HeldEntry): boolean {
  return key !== "member";
}

function heldBy(member: MeshProcess | undefined): readonly HeldEntry[] {
  return [...(member?.watch.held.values() ?? [])].flatMap((entries) => [...entries.values()]);
}

function byPlace(left: HeldEntry, right: HeldEntry): number {
  return left.owner.localeCompare(right.owner) || left.key.localeCompare(right.key);
}

function hasExactly(list: readonly string[], wanted: readonly string[]): boolean {
  return list.length === wanted.length && wanted.every((owner) => list.includes(owner));
}
