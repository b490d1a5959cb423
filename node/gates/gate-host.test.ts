import { mkdtempSync, rmSync } from "node:fs";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pino } from "pino";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import {
  type AppRecord,
  appKey,
  appName,
  decodeRecord,
  encodeRecord,
  encodeRegisterReadAnswer,
  type GateStanding,
  LocalLink,
  type Mesh,
  memberName,
  REGISTER_READ_SERVICE,
  Registers,
  type ToAgent,
  type ToGate,
  toGateShape,
  type VmPlace,
  vmName,
} from "../../mesh/index.ts";
import { MemoryHub } from "../../mesh/sim/memory-mesh.ts";
import { STAND_IN_CLUSTER, StandInVoter } from "../../mesh/sim/stand-in-voter.ts";
import { GateHost } from "./gate-host.ts";

const logger = pino({ level: "silent" });
const HELLO = appName("hello");
const STANDING: GateStanding = { app: HELLO, epoch: 3, inFlight: [] };

let folder: string;
let mesh: Mesh;
let voter: StandInVoter;
let host: GateHost;
let places: VmPlace[];
let standings: GateStanding[];
let told: () => void;
/** What a majority has, beyond what gossip told. */
let committed: Parameters<typeof encodeRegisterReadAnswer>[0];

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), "grapevine-gate-host-"));
  mesh = new MemoryHub().join({ name: "host-1", role: "host" });
  voter = new StandInVoter(mesh);
  committed = [];
  places = [];
  standings = [];
  told = () => undefined;
  mesh.handle(REGISTER_READ_SERVICE, async function* () {
    yield encodeRegisterReadAnswer(committed);
  });
  const registers = new Registers({ cluster: STAND_IN_CLUSTER }, { mesh, logger });
  registers.start();
  voter.publishList();
  const onStandings = (some: readonly GateStanding[]) => {
    standings.push(...some);
    told();
  };
  const options = { cluster: STAND_IN_CLUSTER, socketFile: join(folder, "gate.sock") };
  host = new GateHost(options, { mesh, registers, places: () => places, onStandings, logger });
  await host.start();
});
afterEach(async () => {
  await host.stop();
  await mesh.stop();
  rmSync(folder, { recursive: true });
});

/** The gate's end of the link, without a gate. */
class Peer {
  readonly heard: ToGate[] = [];
  readonly ended: Promise<string>;
  readonly #link: LocalLink;
  #wake = () => {};

  constructor() {
    const { promise, resolve } = Promise.withResolvers<string>();
    this.ended = promise;
    const onMessage = (bytes: Uint8Array) => {
      const message = decodeRecord(toGateShape, bytes);
      if (!message.ok) throw new Error(message.error);
      this.heard.push(message.value);
      this.#wake();
    };
    this.#link = new LocalLink(connect(join(folder, "gate.sock")), { onMessage, onEnd: resolve });
  }

  say(message: ToAgent): void {
    this.#link.send(encodeRecord(message));
  }

  hello(over: Partial<Extract<ToAgent, { kind: "hello" }>> = {}): void {
    const who = { cluster: STAND_IN_CLUSTER, host: memberName("host-1"), pid: 1, isBlank: false };
    this.say({ format: 1, kind: "hello", ...who, ...over });
  }

  /** The first message of that kind, from the beginning on. */
  async next(kind: ToGate["kind"]): Promise<ToGate> {
    for (;;) {
      const found = this.heard.find((message) => message.kind === kind);
      if (found !== undefined) return found;
      await new Promise<void>((wake) => (this.#wake = wake));
    }
  }
}

function emptyRecord(app = "hello"): AppRecord {
  return {
    format: 1,
    app: appName(app),
    deleted: true,
    hostnames: [],
    releases: [],
    current: null,
    lastRelease: 0,
    vms: [],
    rollout: null,
  };
}

describe("GateHost", () => {
  it("tells a gate how voters are proven, where VMs are, and every record, those too that come later", async () => {
    places = [{ vm: vmName("hello-v1-1"), app: HELLO, host: "127.0.0.1", port: 20_001 }];
    voter.publish(3, emptyRecord());
    const gate = new Peer();
    gate.hello();
    expect(await gate.next("record")).toMatchObject({ key: "app/hello" });
    expect(gate.heard.map(({ kind }) => kind)).toEqual(["voter-link", "vms", "record"]);
    expect(gate.heard[1]).toMatchObject({ vms: places });
    gate.heard.length = 0;
    voter.publish(1, emptyRecord("other"));
    expect(await gate.next("record")).toMatchObject({ key: "app/other" });
  });

  it("brings a blank gate what a majority has before it says that this is all", async () => {
    const record = emptyRecord();
    committed = [{ key: appKey(HELLO), value: voter.certified(9, record) }];
    const gate = new Peer();
    gate.hello({ isBlank: true });
    await gate.next("current");
    const kinds = gate.heard.map(({ kind }) => kind);
    expect(kinds.slice(0, 3)).toEqual(["voter-link", "vms", "record"]);
    expect(kinds.at(-1)).toBe("current");
  });

  it("brings it what new voters signed anew, though the record is the same: by the list before it could not take it", async () => {
    voter.publish(9, emptyRecord());
    const next = new StandInVoter(mesh, { number: 2 });
    next.publishList();
    const value = next.certified(9, emptyRecord());
    committed = [{ key: appKey(HELLO), value }];
    const gate = new Peer();
    gate.hello({ isBlank: true });
    await gate.next("current");
    const told = gate.heard.filter(({ kind }) => kind === "record");
    expect(told.at(-1)).toEqual({ format: 1, kind: "record", key: "app/hello", value: Buffer.from(value) });
  });

  it("does not say so when a record of theirs cannot be read here", async () => {
    committed = [{ key: appKey(HELLO), value: voter.certify("app/hello", 9, encodeRecord({ format: 2 })) }];
    const gate = new Peer();
    gate.hello({ isBlank: true });
    await gate.next("vms");
    const other = new Peer();
    other.hello();
    // It asked for the records before the second one came, and says no more to it.
    await gate.ended;
    expect(gate.heard.map(({ kind }) => kind)).toEqual(["voter-link", "vms"]);
  });

  it("passes on what a gate confirms, and forgets it when the gate is gone", async () => {
    const gate = new Peer();
    const heard = new Promise<void>((resolve) => (told = resolve));
    gate.hello();
    gate.say({ format: 1, kind: "standings", standings: [STANDING] });
    await heard;
    expect(standings).toEqual([STANDING]);
    expect(host.standings()).toEqual([STANDING]);
    expect(host.metrics()).toContain("grapevine_gate_up 1");
    const next = new Peer();
    next.hello();
    await gate.ended;
    expect(host.standings()).toEqual([]);
  });

  it("turns away the gate of another host, and who says what it cannot read", async () => {
    const stranger = new Peer();
    stranger.hello({ host: memberName("host-2") });
    await stranger.ended;
    const later = new Peer();
    later.say({ format: 2, kind: "hello" } as never);
    await later.ended;
    expect(stranger.heard).toEqual([]);
  });
});
