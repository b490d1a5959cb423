import { setTimeout as delay } from "node:timers/promises";
import { pino } from "pino";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import {
  type AppRecord,
  appKey,
  appName,
  encodeRecord,
  encodeRegisterReadAnswer,
  type Mesh,
  type OwnerId,
  REGISTER_READ_SERVICE,
  Registers,
  vmName,
} from "../../mesh/index.ts";
import { serveLeases } from "../../mesh/io/register/lease-read.ts";
import type { Register } from "../../mesh/register/register.ts";
import { MemoryHub } from "../../mesh/sim/memory-mesh.ts";
import { STAND_IN_CLUSTER, StandInVoter } from "../../mesh/sim/stand-in-voter.ts";
import { specOf } from "../deploy/testing/specs.ts";
import type { ReadRecordsDeps } from "../read-records.ts";
import { recordAsks } from "./ask-records.ts";

const VM = vmName("hello-v1-1");

let mesh: Mesh;
let voter: StandInVoter;
let registers: Registers;
/** What a majority has, as the voter, which is this host, reads it. */
let standing: { readonly epoch: number; readonly record: AppRecord };
/** How many records were read: of the app, of all. */
let reads: { one: number; all: number };

beforeEach(() => {
  mesh = new MemoryHub().join({ name: "host-1", role: "host" });
  reads = { one: 0, all: 0 };
  mesh.handle(REGISTER_READ_SERVICE, async function* () {
    reads.all += 1;
    const { epoch, record } = standing;
    yield encodeRegisterReadAnswer([{ key: appKey(record.app), value: voter.certified(epoch, record) }]);
  });
  const read: Pick<Register, "read"> = {
    read: async () => {
      reads.one += 1;
      return standing as Awaited<ReturnType<Register["read"]>>;
    },
  };
  serveLeases({ mesh }, () => read as Register);
  voter = new StandInVoter(mesh);
  registers = new Registers({ cluster: STAND_IN_CLUSTER }, { mesh, logger: pino({ level: "silent" }) });
  registers.start();
  voter.publishList();
});
afterEach(() => mesh.stop());

function recordWith(vms: AppRecord["vms"]): AppRecord {
  const spec = specOf("hello");
  return {
    format: 1,
    app: appName("hello"),
    deleted: false,
    hostnames: spec.hostnames,
    releases: [{ number: 1, specHash: "a".repeat(64), spec, vmsNamed: 1, submittedAtMs: 0 }],
    current: 1,
    lastRelease: 1,
    vms,
    rollout: null,
  };
}

const ask = () => {
  const { debug } = pino({ level: "silent" });
  return recordAsks({ mesh, registers, logger: { debug } }).wantedEpoch(VM, new AbortController().signal);
};
const here = () => ({ vm: VM, release: 1, host: mesh.self.name, phase: "starting", requires: null }) as const;

describe("before a start of an app that never runs twice", () => {
  it("its own record is read at a majority, and no other, if that has it run here", async () => {
    registers.apps.take("app/hello", voter.certified(4, recordWith([here()])));
    standing = { epoch: 5, record: recordWith([here()]) };
    expect(await ask()).toBe(5);
    expect(reads).toEqual({ one: 1, all: 0 });
  });

  it("what a majority has instead is heard", async () => {
    registers.apps.take("app/hello", voter.certified(4, recordWith([here()])));
    standing = { epoch: 5, record: recordWith([]) };
    expect(await ask()).toBe(null);
    expect(registers.apps.get(appName("hello"))?.epoch).toBe(5);
  });

  it("a VM that is to be no more than prepared is not started", async () => {
    const prepared = recordWith([{ ...here(), phase: "prepared" }]);
    registers.apps.take("app/hello", voter.certified(4, prepared));
    standing = { epoch: 4, record: prepared };
    expect(await ask()).toBe(null);
  });

  it("all are read where no record is known that names it", async () => {
    standing = { epoch: 1, record: recordWith([here()]) };
    expect(await ask()).toBe(1);
    expect(reads).toEqual({ one: 0, all: 1 });
  });
});

const owners = ["one", "two", "three"] as unknown as readonly OwnerId[];
const question = { vm: vmName("hello-v1-1"), app: appName("hello") };

it("a lease is asked for last of voters that said nothing: each that hangs takes its time from it", async () => {
  const asked: OwnerId[] = [];
  const mesh = {
    self: { name: "host-1" },
    members: () => owners.map((owner) => ({ owner, connected: true })),
    call: async function* (owner: OwnerId, _service: string, _bytes: Uint8Array, signal: AbortSignal) {
      asked.push(owner);
      if (owner !== owners[2]) await delay(60_000, undefined, { signal });
      yield encodeRecord({ format: 1, epoch: 3, isNamed: true });
    },
  };
  const directory = { list: { voters: owners.map((owner) => ({ owner, name: owner })) } };
  const deps = { mesh, registers: { directory }, logger: pino({ level: "silent" }) };
  const { askLease } = recordAsks(deps as unknown as ReadRecordsDeps);
  const { signal } = new AbortController();
  expect(await askLease(question, signal)).toMatchObject({ epoch: 3, isNamed: true });
  expect(asked).toEqual(owners);
  await askLease(question, signal);
  expect(asked.slice(3)).toEqual([owners[2]]);
});
