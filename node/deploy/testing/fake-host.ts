// A fake host agent: runs what records want of it as entries alone. What a VM does is said by its release's command.

import {
  APP_PREFIX,
  type AppRecord,
  appName,
  commandVmOf,
  type DesiredVm,
  decodeCommittedApp,
  encodeRecord,
  GATE_TOPIC,
  type HostEntry,
  hostKey,
  type MemberName,
  type Mesh,
  newVmEntry,
  type OwnerId,
  type VmEntry,
  type VmName,
  vmKey,
} from "../../../mesh/index.ts";

/** The second argument of a release's command: what becomes of its VMs. Default: healthy. */
type Fate = "healthy" | "crashes" | "unhealthy" | "hangs";

export class FakeHost {
  readonly mesh: Mesh;
  readonly running: Set<VmName> = new Set();
  /** VMs that ever ran here. */
  readonly ran: VmName[] = [];
  readonly #records = new Map<string, AppRecord>();
  /** While true what it should stop goes on running. */
  isStuck: boolean = false;
  #said: HostEntry;
  #hasGate = false;

  constructor(mesh: Mesh, { isVoter }: { readonly isVoter: boolean }) {
    this.mesh = mesh;
    const { name } = mesh.self;
    this.#said = { format: 1, host: name, region: "test", labels: {}, api: "", pid: 1, voter: isVoter };
    this.#tell({});
    mesh.onChange((change) => {
      if (!change.key.startsWith(APP_PREFIX) || change.value === null) return;
      const committed = decodeCommittedApp(change.value);
      if (!committed.ok) throw new Error(committed.error);
      this.#records.set(change.key, committed.value.record);
      this.reconcile();
    });
  }

  reconcile(): void {
    const wanted = [...this.#records.values()].flatMap((record) => {
      const command = commandVmOf(record);
      const ofCommand = command === null ? [] : [{ ...command, phase: "starting", requires: null } as const];
      return [...record.vms, ...ofCommand].map((vm) => ({ vm, record }));
    });
    const mine = wanted.filter(({ vm }) => vm.host === this.mesh.self.name);
    for (const { vm, record } of mine) if (!this.running.has(vm.vm)) this.#start(vm, record);
    const names = new Set(mine.map(({ vm }) => vm.vm));
    if (this.isStuck) return;
    for (const vm of [...this.running].filter((name) => !names.has(name))) {
      this.running.delete(vm);
      this.mesh.write(vmKey(vm), null);
    }
  }

  /** From now on its VMs are started behind a gate, which says nothing by itself. */
  haveGate(): void {
    this.#hasGate = true;
    this.#tell({ gate: { host: "127.0.0.1", port: 7_901 } });
  }

  /** A person says that it is drained, or that it gets VMs again. */
  drain(draining: boolean): void {
    this.#tell({ cordoned: draining, draining });
  }

  #tell(change: Partial<HostEntry>): void {
    this.#said = { ...this.#said, ...change };
    this.mesh.write(hostKey(this.mesh.self.name), encodeRecord(this.#said));
  }

  /** That the gate of `of` has this epoch on its disk, and nothing in flight. Of another host it is a lie. */
  confirm(voter: OwnerId, { app, epoch, of }: { app: string; epoch: number; of: MemberName }): void {
    const standings = [{ app: appName(app), epoch, inFlight: [] }];
    this.mesh.tell(voter, GATE_TOPIC, encodeRecord({ format: 1, host: of, standings }));
  }

  /** Says something else of a VM. */
  say(vm: VmName, change: Partial<VmEntry>, base?: VmEntry): void {
    const entry = base ?? this.#entries.get(vm);
    if (entry === undefined) throw new Error(`${vm} does not run on ${this.mesh.self.name}`);
    const next = { ...entry, ...change };
    this.#entries.set(vm, next);
    this.mesh.write(vmKey(vm), encodeRecord(next));
  }

  readonly #entries = new Map<VmName, VmEntry>();

  #start(vm: DesiredVm, record: AppRecord): void {
    this.running.add(vm.vm);
    this.ran.push(vm.vm);
    const release = record.releases.find((candidate) => candidate.number === vm.release);
    const fate = (release?.spec.command[2] ?? "healthy") as Fate;
    this.say(vm.vm, {}, entryOf(vm, record.app));
    if (fate === "hangs") return;
    if (commandVmOf(record)?.vm === vm.vm) {
      const code = release?.spec.deploy.releaseCommand?.includes("fails") === true ? 5 : 0;
      this.say(vm.vm, { state: "running" });
      this.say(vm.vm, { state: "exited", exit: { code, signal: null }, lastLines: ["no such table"] });
      return;
    }
    const gated = this.#hasGate ? ({ gated: true } as const) : {};
    this.say(vm.vm, { state: "running", address: { host: "127.0.0.1", port: 20_001 }, ...gated });
    if (fate === "healthy") this.say(vm.vm, { health: "healthy", healthyAtMs: 1_000 });
    if (fate === "unhealthy") {
      this.say(vm.vm, { health: "unhealthy", reason: "GET /healthz answered 500", lastLines: ["oops"] });
    }
    if (fate === "crashes") {
      this.say(vm.vm, { state: "exited", exit: { code: 3, signal: null }, lastLines: ["boom"] });
    }
  }
}

/** A VM of which nothing is known but that it is wanted. */
export function entryOf(vm: Pick<DesiredVm, "vm" | "release" | "host">, app: string): VmEntry {
  return newVmEntry({ vm: vm.vm, app: appName(app), release: vm.release, host: vm.host });
}
