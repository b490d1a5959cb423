import { pino } from "pino";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import {
  appName,
  decodeRecord,
  GATE_STANDINGS_MAX,
  GATE_TOPIC,
  type GateMessage,
  type GateStanding,
  gateMessageShape,
  type Mesh,
  Registers,
} from "../../mesh/index.ts";
import { MemoryHub } from "../../mesh/sim/memory-mesh.ts";
import { STAND_IN_CLUSTER, StandInVoter } from "../../mesh/sim/stand-in-voter.ts";
import { GateTeller } from "./gate-teller.ts";

let hub: MemoryHub;
let host: Mesh;
let voter: Mesh;
let teller: GateTeller;
let confirmed: GateStanding[];
let heard: GateMessage[];
let wake: () => void;

beforeEach(() => {
  hub = new MemoryHub();
  host = hub.join({ name: "host-1", role: "host" });
  voter = hub.join({ name: "host-2", role: "host" });
  confirmed = [standing("hello", 3)];
  heard = [];
  wake = () => undefined;
  listen(voter);
  const registers = new Registers(
    { cluster: STAND_IN_CLUSTER },
    { mesh: host, logger: pino({ level: "silent" }) },
  );
  registers.start();
  host.announce();
  voter.announce();
  teller = new GateTeller({ mesh: host, directory: registers.directory, standings: () => confirmed });
  teller.start();
});
afterEach(async () => {
  teller.stop();
  await Promise.all([host.stop(), voter.stop()]);
});

function standing(app: string, epoch: number): GateStanding {
  return { app: appName(app), epoch, inFlight: [] };
}

function listen(mesh: Mesh): void {
  mesh.onTell(GATE_TOPIC, (bytes) => {
    const message = decodeRecord(gateMessageShape, bytes);
    if (!message.ok) throw new Error(message.error);
    heard.push(message.value);
    wake();
  });
}

async function until(isTrue: () => boolean): Promise<void> {
  while (!isTrue()) await new Promise<void>((resolve) => (wake = resolve));
}

const epochs = (): readonly number[] => heard.flatMap(({ standings }) => standings.map(({ epoch }) => epoch));

describe("GateTeller", () => {
  it("tells all to who becomes a voter, and what changed to those that are, in this host's name", async () => {
    new StandInVoter(voter).publishList();
    await until(() => epochs().includes(3));
    expect(heard[0]).toEqual({ format: 1, host: "host-1", standings: confirmed });
    teller.changed([standing("hello", 4)]);
    await until(() => epochs().includes(4));
  });

  it("tells itself, as the voter that it is", async () => {
    listen(host);
    new StandInVoter(host).publishList();
    await until(() => heard.length > 0);
    expect(epochs()).toEqual([3]);
  });

  it("cuts what is more than one message holds into several", async () => {
    confirmed = Array.from({ length: GATE_STANDINGS_MAX + 1 }, (_, index) => standing(`app-${index}`, 1));
    new StandInVoter(voter).publishList();
    await until(() => epochs().length === confirmed.length);
    expect(heard.map(({ standings }) => standings.length)).toEqual([GATE_STANDINGS_MAX, 1]);
  });
});
