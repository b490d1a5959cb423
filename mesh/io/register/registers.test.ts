import { mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pino } from "pino";
import { afterEach, describe, expect, test } from "vitest";
import { appName, memberName } from "../../core/ids.ts";
import type { Mesh } from "../../mesh.ts";
import type { AppRecord, CommittedApp } from "../../records/app.ts";
import { hostnameClaim } from "../../records/names.ts";
import type { Register, SwapResult } from "../../register/register.ts";
import { MemoryHub } from "../../sim/memory-mesh.ts";
import { nameStandInVoters, STAND_IN_CLUSTER } from "../../sim/stand-in-voter.ts";
import { untilSeen } from "../../sim/until.ts";
import { HostRegisters, Registers } from "./registers.ts";

const NEVER = new AbortController().signal;
const logger = pino({ level: "silent" });
const APP = appName("hello");

interface Member {
  readonly mesh: Mesh;
  readonly registers: Registers;
  readonly host: HostRegisters;
  readonly stateDir: string;
}

const members = new Set<Member>();
const folders: string[] = [];
afterEach(async () => {
  for (const member of members) await stop(member);
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true, force: true });
});

function newFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), "registers-"));
  folders.push(folder);
  return folder;
}

async function start(hub: MemoryHub, name: string, stateDir: string = newFolder()): Promise<Member> {
  const mesh = hub.join({ name, role: "host" });
  const registers = new Registers({ cluster: STAND_IN_CLUSTER }, { mesh, logger });
  const host = await HostRegisters.open(registers, { stateDir });
  registers.start();
  host.start();
  mesh.announce();
  const member = { mesh, registers, host, stateDir };
  members.add(member);
  return member;
}

async function stop(member: Member): Promise<void> {
  members.delete(member);
  await member.host.stop();
  await member.mesh.stop();
}

async function startVoters(hub: MemoryHub, count: number): Promise<readonly Member[]> {
  const names = Array.from({ length: count }, (_, at) => `host-${at + 1}`);
  const started: Member[] = [];
  for (const name of names) started.push(await start(hub, name));
  await nameStandInVoters(memberAt(started, 0).host, names.map(memberName));
  return started;
}

function memberAt(all: readonly Member[], at: number): Member {
  const member = all[at];
  if (member === undefined) throw new Error(`no member ${at}`);
  return member;
}

function registerOf({ host, mesh }: Member): Register {
  if (host.register === null) throw new Error(`${mesh.self.name} is no voter`);
  return host.register;
}

/** `release` tells one record from another. */
function record(release: number, app = APP): AppRecord {
  return {
    format: 1,
    app,
    deleted: false,
    hostnames: [`${app}.localhost`],
    releases: [],
    current: null,
    lastRelease: release,
    vms: [],
    rollout: null,
  };
}

function textOf(result: SwapResult | CommittedApp | null): string {
  if (result === null) return "nothing";
  if ("record" in result) return `release ${result.record.lastRelease} at ${result.epoch}`;
  if (result.code === "unavailable") return `unavailable: ${result.missing.join(", ")} missing`;
  if (result.code === "unknown") return "unknown";
  return `${result.code}: ${textOf(result.code === "committed" ? result.committed : result.current)}`;
}

async function swap(member: Member, expectedEpoch: number, release: number): Promise<string> {
  return textOf(await registerOf(member).swap(APP, expectedEpoch, record(release)));
}

async function read(member: Member): Promise<string> {
  return textOf(await registerOf(member).read(APP));
}

function held({ registers }: Member): string {
  return textOf(registers.apps.get(APP) ?? null);
}

describe("registers", () => {
  test("are changed at one voter, read at another, and known to a member that is none", async () => {
    const hub = new MemoryHub();
    const voters = await startVoters(hub, 3);
    const [one, two, three] = [0, 1, 2].map((at) => memberAt(voters, at)) as [Member, Member, Member];
    const other = await start(hub, "host-4");
    expect(await read(two)).toBe("nothing");
    expect(await swap(one, 0, 1)).toBe("committed: release 1 at 1");
    expect(await swap(two, 1, 2)).toBe("committed: release 2 at 2");
    expect(await swap(three, 1, 3)).toBe("conflict: release 2 at 2");
    expect(await read(one)).toBe("release 2 at 2");
    await untilSeen(other.mesh, () => held(other) === "release 2 at 2");
    expect(other.host.register).toBe(null);
  });

  test("go on without one of three voters, and not without two, who are named", async () => {
    const voters = await startVoters(new MemoryHub(), 3);
    const [one, two, three] = [0, 1, 2].map((at) => memberAt(voters, at)) as [Member, Member, Member];
    await stop(three);
    expect(await swap(one, 0, 1)).toBe("committed: release 1 at 1");
    await stop(two);
    await expect(read(one)).rejects.toThrow("no majority of the voters answers: host-2, host-3 missing");
    expect(await swap(one, 1, 2)).toBe("unavailable: host-2, host-3 missing");
  });

  test("have one winner of swaps that come at once, and nothing is lost", async () => {
    const voters = await startVoters(new MemoryHub(), 3);
    for (let epoch = 0; epoch < 10; epoch += 1) {
      const outcomes = await Promise.all(voters.map((voter, at) => swap(voter, epoch, 10 * epoch + at)));
      const won = outcomes.filter((text) => text.startsWith("committed"));
      expect(won).toHaveLength(1);
      const reads = await Promise.all(voters.map(read));
      expect(new Set(reads)).toEqual(new Set([won[0]?.replace("committed: ", "")]));
    }
  });

  test("are there after a restart of all voters, from their disks", async () => {
    const hub = new MemoryHub();
    const voters = await startVoters(hub, 3);
    expect(await swap(memberAt(voters, 0), 0, 1)).toBe("committed: release 1 at 1");
    for (const voter of voters) await stop(voter);
    const again: Member[] = [];
    for (const { mesh, stateDir } of voters) again.push(await start(hub, mesh.self.name, stateDir));
    expect(await read(memberAt(again, 2))).toBe("release 1 at 1");
    expect(await swap(memberAt(again, 1), 1, 2)).toBe("committed: release 2 at 2");
  });

  test("give a hostname to one app, until a record of it uses it no more", async () => {
    const [one, two] = (await startVoters(new MemoryHub(), 3)) as [Member, Member];
    const name = hostnameClaim("www.example.com");
    const other = appName("other");
    expect(await registerOf(one).claimNames({ app: APP, epoch: 1 }, [name])).toEqual({ code: "claimed" });
    expect(await registerOf(two).claimNames({ app: other, epoch: 1 }, [name])).toEqual({
      code: "taken",
      name,
      by: APP,
    });
    // Claimed for a later record: the one of epoch 1 that does not use it does not give it back.
    await registerOf(one).claimNames({ app: APP, epoch: 2 }, [name]);
    await registerOf(one).releaseNames({ app: APP, epoch: 1 }, []);
    expect((await registerOf(two).claimNames({ app: other, epoch: 1 }, [name])).code).toBe("taken");
    await registerOf(one).releaseNames({ app: APP, epoch: 2 }, []);
    expect((await registerOf(two).claimNames({ app: other, epoch: 1 }, [name])).code).toBe("claimed");
  });
});

describe("voters", () => {
  test("are added and removed one by one, and each list is settled", async () => {
    const hub = new MemoryHub();
    const voters = await startVoters(hub, 1);
    const one = memberAt(voters, 0);
    const more = [await start(hub, "host-2"), await start(hub, "host-3")];
    expect(await swap(one, 0, 1)).toBe("committed: release 1 at 1");
    for (const { mesh } of more) await add(one, mesh.self.name);
    expect(one.registers.voterNames).toEqual(["host-1", "host-2", "host-3"]);
    expect(await read(memberAt(more, 1))).toBe("release 1 at 1");
    await stop(one);
    expect(await swap(memberAt(more, 0), 1, 2)).toBe("committed: release 2 at 2");
    const gone = one.registers.directory.list?.voters[0]?.id;
    if (gone === undefined) throw new Error("no voter");
    const removed = await memberAt(more, 1).host.changeVoters({ kind: "remove", id: gone }, NEVER);
    expect(removed.ok && removed.value.isSettled).toBe(true);
    const { mesh, registers } = memberAt(more, 0);
    await untilSeen(mesh, () => registers.voterNames.join() === "host-2,host-3");
  });

  test("may remove themselves: the others settle the list", async () => {
    const voters = await startVoters(new MemoryHub(), 3);
    const [one, two] = [0, 1].map((at) => memberAt(voters, at)) as [Member, Member];
    expect(await swap(one, 0, 1)).toBe("committed: release 1 at 1");
    const id = one.registers.directory.list?.voters[0]?.id;
    if (id === undefined) throw new Error("no voter");
    const removed = await one.host.changeVoters({ kind: "remove", id }, NEVER);
    expect(removed).toMatchObject({ ok: true, value: { number: 2, isSettled: true } });
    expect(one.host.register).toBe(null);
    expect(await read(two)).toBe("release 1 at 1");
  });

  test("that lost their disk do not vote under their old id, and may be voters again under a new one", async () => {
    const hub = new MemoryHub();
    const voters = await startVoters(hub, 3);
    const [one, two, three] = [0, 1, 2].map((at) => memberAt(voters, at)) as [Member, Member, Member];
    expect(await swap(one, 0, 1)).toBe("committed: release 1 at 1");
    await stop(three);
    const back = await start(hub, "host-3", newFolder());
    await untilSeen(back.mesh, () => back.registers.voterNames.length === 3);
    expect(back.host.register).toBe(null);
    expect(await swap(two, 1, 2)).toBe("committed: release 2 at 2");
    const lost = one.registers.directory.list?.voters[2]?.id;
    if (lost === undefined) throw new Error("no third voter");
    expect(await one.host.changeVoters({ kind: "remove", id: lost }, NEVER)).toMatchObject({ ok: true });
    await add(one, "host-3");
    await untilSeen(back.mesh, () => back.host.register !== null);
    expect(await read(back)).toBe("release 2 at 2");
  });

  test("are restored under a new list from what members hold, above all epochs that were", async () => {
    const hub = new MemoryHub();
    const voters = await startVoters(hub, 3);
    const [one, two, three] = [0, 1, 2].map((at) => memberAt(voters, at)) as [Member, Member, Member];
    const other = await start(hub, "host-4");
    expect(await swap(one, 0, 1)).toBe("committed: release 1 at 1");
    await untilSeen(other.mesh, () => held(other) === "release 1 at 1");
    await stop(one);
    await stop(two);
    await three.host.collect(NEVER);
    await nameStandInVoters(three.host, ["host-3", "host-4"].map(memberName), { isRestore: true });
    // Nobody takes what its voters do not have yet for what never was.
    await expect(registerOf(three).readAll()).rejects.toThrow("the registers are being restored");
    const restored = await three.host.restore(NEVER);
    expect(restored).toMatchObject({ ok: true });
    expect(await three.host.restore(NEVER)).toMatchObject({
      ok: false,
      error: expect.stringContaining("nothing is to be restored"),
    });
    expect(await read(other)).toBe("release 1 at 1001");
    expect(await swap(other, 1_001, 2)).toBe("committed: release 2 at 1002");
    expect(three.registers.directory.list?.isSettled).toBe(true);
    // Who was a voter before comes back with what it remembers of then, and is another voter: nothing of that counts.
    const back = await start(hub, "host-1", one.stateDir);
    await untilSeen(back.mesh, () => back.registers.directory.list?.number === 1_001);
    await add(three, "host-1");
    await untilSeen(back.mesh, () => back.host.register !== null);
    expect(await swap(back, 1_002, 3)).toBe("committed: release 3 at 1003");
    expect(await read(three)).toBe("release 3 at 1003");
    // The old seat stays as it was; no list names it any more.
    expect(
      readdirSync(join(three.stateDir, "voter")).filter((file) => file.endsWith(".sqlite")),
    ).toHaveLength(2);
  });
});

test("restores more apps than claim names one by one in time, each with its name", async () => {
  const hub = new MemoryHub();
  const voters = await startVoters(hub, 3);
  const [one, two, three] = [0, 1, 2].map((at) => memberAt(voters, at)) as [Member, Member, Member];
  const apps = Array.from({ length: 25 }, (_, at) => appName(`app-${at}`));
  for (const app of apps) await registerOf(one).swap(app, 0, record(1, app));
  await untilSeen(three.mesh, () => three.registers.apps.all().length === apps.length);
  await stop(one);
  await stop(two);
  await nameStandInVoters(three.host, [three.mesh.self.name], { isRestore: true });
  expect(three.registers.directory.isRestoring).toBe(true);
  expect(await three.host.restore(NEVER)).toMatchObject({ ok: true });
  expect(three.registers.directory.isRestoring).toBe(false);
  const name = hostnameClaim("app-7.localhost");
  expect(await registerOf(three).claimNames({ app: APP, epoch: 1 }, [name])).toEqual({
    code: "taken",
    name,
    by: apps[7],
  });
});

test("a voter whose memory was cut short does not vote under its id", async () => {
  const hub = new MemoryHub();
  const voters = await startVoters(hub, 3);
  const three = memberAt(voters, 2);
  await stop(three);
  const folder = join(three.stateDir, "voter");
  for (const file of readdirSync(folder)) rmSync(join(folder, file));
  const id = three.registers.directory.list?.voters[2]?.id;
  writeFileSync(join(folder, `${id}.sqlite`), "");
  const back = await start(hub, "host-3", three.stateDir);
  await untilSeen(back.mesh, () => back.registers.voterNames.length === 3);
  expect(back.host.register).toBe(null);
});

async function add(at: Member, name: string): Promise<void> {
  const seats = await at.host.seatsOf([memberName(name)], NEVER);
  if (!seats.ok || seats.value[0] === undefined) throw new Error("no seat");
  const added = await at.host.changeVoters({ kind: "add", voter: seats.value[0] }, NEVER);
  if (!added.ok) throw new Error(added.error);
}
