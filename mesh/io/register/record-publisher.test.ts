import { pino } from "pino";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { appName } from "../../core/ids.ts";
import type { Mesh } from "../../mesh.ts";
import { type AppRecord, appKey } from "../../records/app.ts";
import { MemoryHub } from "../../sim/memory-mesh.ts";
import { STAND_IN_CLUSTER, StandInVoter } from "../../sim/stand-in-voter.ts";
import { RecordPublisher } from "./record-publisher.ts";
import { Registers } from "./registers.ts";

const APP = appName("hello");

let mesh: Mesh;
let registers: Registers;
let voter: StandInVoter;
let publisher: RecordPublisher;
/** Epochs as they were published. */
let told: number[];
beforeEach(() => {
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
  mesh = new MemoryHub().join({ name: "host-1", role: "host" });
  registers = new Registers({ cluster: STAND_IN_CLUSTER }, { mesh, logger: pino({ level: "silent" }) });
  registers.start();
  voter = new StandInVoter(mesh);
  voter.publishList();
  publisher = new RecordPublisher({ ...registers.context, apps: registers.apps, isFirst: () => false });
  told = [];
  mesh.onChange(({ key }) => {
    if (key === appKey(APP)) told.push(registers.apps.get(APP)?.epoch ?? 0);
  });
});
afterEach(async () => {
  publisher.stop();
  vi.useRealTimers();
  await mesh.stop();
});

async function commit(epoch: number): Promise<void> {
  registers.apps.take(appKey(APP), voter.certified(epoch, record(epoch)));
  publisher.publishSoon(APP);
  await new Promise((resolve) => setImmediate(resolve));
}

function record(lastRelease: number): AppRecord {
  return {
    format: 1,
    app: APP,
    deleted: false,
    hostnames: [],
    releases: [],
    current: null,
    lastRelease,
    vms: [],
    rollout: null,
  };
}

test("each of a few commits in a row is told at once; of more one from time to time, and always the last", async () => {
  for (let epoch = 1; epoch <= 100; epoch += 1) await commit(epoch);
  expect(told).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
  await vi.runAllTimersAsync();
  expect(told).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 100]);
  await commit(101);
  expect(told.at(-1)).toBe(101);
});

test("what is owed at the stop is told then", async () => {
  for (let epoch = 1; epoch <= 20; epoch += 1) await commit(epoch);
  publisher.stop();
  expect(told.at(-1)).toBe(20);
  expect(vi.getTimerCount()).toBe(0);
});
