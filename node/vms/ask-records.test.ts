import { setTimeout as delay } from "node:timers/promises";
import { pino } from "pino";
import { expect, it } from "vitest";
import { appName, encodeRecord, type OwnerId, vmName } from "../../mesh/index.ts";
import type { ReadRecordsDeps } from "../read-records.ts";
import { recordAsks } from "./ask-records.ts";

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
