// A fake proxy agent: acknowledges each epoch it sees to the voter, unless it is told to be silent.

import {
  ACK_TOPIC,
  type Ack,
  APP_PREFIX,
  type AppName,
  type CommittedApp,
  decodeCommittedApp,
  encodeRecord,
  type MemberName,
  type Mesh,
  type OwnerId,
  proxyKey,
  type VmName,
} from "../../../mesh/index.ts";

/** When each VM that left got its last request, whatever the clock says. */
export const FAKE_LAST_DISPATCH_MS: number = 2_000;

export class FakeProxy {
  readonly mesh: Mesh;
  readonly #voter: OwnerId;
  readonly #apps = new Map<AppName, CommittedApp>();
  /** Sees epochs and does not answer. */
  isSilent: boolean = false;
  /** Requests that do not end, by VM. */
  readonly inFlight: Map<VmName, number> = new Map();
  nack: string | null = null;
  /** Under which name it answers; another than its own is a lie. */
  signsAs: MemberName;

  constructor(mesh: Mesh, voter: OwnerId) {
    this.mesh = mesh;
    this.#voter = voter;
    this.signsAs = mesh.self.name;
    this.register();
    mesh.onChange((change) => {
      if (!change.key.startsWith(APP_PREFIX) || change.value === null) return;
      const committed = decodeCommittedApp(change.value);
      if (!committed.ok) throw new Error(committed.error);
      this.#apps.set(committed.value.record.app, committed.value);
      this.answer();
    });
  }

  register(): void {
    const { name } = this.mesh.self;
    const entry = { format: 1, proxy: name, region: "test", labels: {}, http: "", admin: "", pid: 1 };
    this.mesh.write(proxyKey(name), encodeRecord(entry));
  }

  leave(): void {
    this.mesh.write(proxyKey(this.mesh.self.name), null);
  }

  /** Tells where it stands on every app. */
  answer(): void {
    if (this.isSilent) return;
    const acks = [...this.#apps.values()].map((committed) => this.#ackOf(committed));
    const message = { format: 1, proxy: this.signsAs, serial: 1, acks };
    this.mesh.tell(this.#voter, ACK_TOPIC, encodeRecord(message));
  }

  #ackOf({ epoch, record }: CommittedApp): Ack {
    const routed = new Set(
      record.vms.filter(({ phase }) => phase === "serving" || phase === "standby").map((vm) => vm.vm),
    );
    const busy = [...this.inFlight].filter(([vm, requests]) => requests > 0 && !routed.has(vm));
    return {
      app: record.app,
      applied: epoch,
      verified: this.nack === null ? epoch : 0,
      nack: this.nack === null ? null : { epoch, reason: this.nack },
      inFlight: busy.map(([vm, requests]) => ({ vm, requests })),
      cut: [],
      applyMs: 1,
      lastDispatch: record.vms
        .filter((vm) => vm.phase === "cordoned")
        .map(({ vm }) => ({ vm, atMs: FAKE_LAST_DISPATCH_MS })),
    };
  }
}
