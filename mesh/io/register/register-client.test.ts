import { hash } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pino } from "pino";
import { afterEach, describe, expect, test } from "vitest";
import { ownerId } from "../../core/ids.ts";
import type { Mesh } from "../../mesh.ts";
import type { Outcome } from "../../register/proposer-face.ts";
import { encodeLink, rootLink, rootStatement } from "../../register/voter-chain.ts";
import type { Voter } from "../../register/voter-list.ts";
import { MemoryHub } from "../../sim/memory-mesh.ts";
import { standInCrypto } from "../../sim/stand-in-crypto.ts";
import { AcceptorDisk } from "./acceptor-disk.ts";
import { RegisterClient } from "./register-client.ts";
import { VoterDirectory } from "./voter-directory.ts";
import { VoterSeat } from "./voter-seat.ts";

const CLUSTER = "root";
const NEVER = new AbortController().signal;
const logger = pino({ level: "silent" });
const folder = mkdtempSync(join(tmpdir(), "register-"));

interface Member {
  readonly mesh: Mesh;
  readonly disk: AcceptorDisk;
  readonly client: RegisterClient;
  readonly voter: Voter;
  readonly directory: VoterDirectory;
}

const members: Member[] = [];
afterEach(async () => {
  for (const { mesh, disk } of members.splice(0)) {
    await mesh.stop();
    await disk.close();
  }
  rmSync(folder, { recursive: true, force: true });
});

async function startMember(hub: MemoryHub, name: string, path: string): Promise<Member> {
  const mesh = hub.join({ name, role: "host" });
  const { crypto } = mesh;
  const newVoter = hash("sha256", path).slice(0, 16);
  const disk = await AcceptorDisk.open({ path, cluster: CLUSTER, owner: mesh.self.owner, newVoter });
  const shared = { mesh, cluster: CLUSTER, crypto, logger, count: () => undefined };
  const directory = new VoterDirectory(shared);
  directory.start();
  const seat = new VoterSeat({ ...shared, disk, directory, refusal: () => null });
  const client = new RegisterClient({ ...shared, directory, seat: () => seat, random: Math.random });
  client.start();
  mesh.announce();
  const member = { mesh, disk, client, directory, voter: { id: disk.voter, ...mesh.self } };
  members.push(member);
  return member;
}

async function startVoters(hub: MemoryHub, ...names: readonly string[]): Promise<readonly Member[]> {
  const started = [];
  for (const name of names)
    started.push(await startMember(hub, name, join(mkdtempSync(join(tmpdir(), "reg-")), "a.sqlite")));
  nameVoters(started, 1);
  return started;
}

function nameVoters(voters: readonly Member[], number: number): void {
  const list = { number, voters: voters.map(({ voter }) => voter), isSettled: true };
  const { sign } = standInCrypto(ownerId(CLUSTER));
  const link = encodeLink(rootLink(list, (encoded) => sign(rootStatement(CLUSTER, encoded))));
  for (const { directory } of voters) directory.learn(link, ownerId("test"));
}

function textOf(outcome: Outcome): string {
  const at = outcome.kind === "committed" ? outcome : "current" in outcome ? outcome.current : null;
  return at === null
    ? outcome.kind
    : `${outcome.kind} ${at.value.epoch} ${new TextDecoder().decode(at.value.record)}`;
}

async function swap(member: Member, expectedEpoch: number, text: string, signal = NEVER): Promise<string> {
  const record = new TextEncoder().encode(text);
  return textOf(await member.client.operate("app/a", { kind: "swap", expectedEpoch, record }, signal));
}

async function read(member: Member): Promise<string> {
  return textOf(await member.client.operate("app/a", { kind: "read" }, NEVER));
}

describe("a register on three voters", () => {
  test("is changed by one and read by another", async () => {
    const [one, two, three] = await startVoters(new MemoryHub(), "host-1", "host-2", "host-3");
    if (!one || !two || !three) throw new Error("three");
    expect(await read(two)).toBe("read");
    expect(await swap(one, 0, "first")).toBe("committed 1 first");
    expect(await swap(one, 1, "second")).toBe("committed 2 second");
    expect(await swap(two, 1, "late")).toBe("conflict 2 second");
    expect(await read(three)).toBe("read 2 second");
  });

  test("goes on without one of them, and not without two, whom it names", async () => {
    const hub = new MemoryHub();
    const [one, two, three] = await startVoters(hub, "host-1", "host-2", "host-3");
    if (!one || !two || !three) throw new Error("three");
    await three.mesh.stop();
    expect(await swap(one, 0, "first")).toBe("committed 1 first");
    await two.mesh.stop();
    const abort = AbortSignal.timeout(300);
    const record = new TextEncoder().encode("second");
    const outcome = await one.client.operate("app/b", { kind: "swap", expectedEpoch: 0, record }, abort);
    expect(outcome).toEqual({ kind: "unavailable", missing: [two.voter.id, three.voter.id] });
  });

  test("has one winner of swaps that come at once, and nothing is lost", async () => {
    const voters = await startVoters(new MemoryHub(), "host-1", "host-2", "host-3");
    let epoch = 0;
    for (let round = 0; round < 20; round += 1) {
      const outcomes = await Promise.all(voters.map((voter, at) => swap(voter, epoch, `${round}.${at}`)));
      const won = outcomes.filter((text) => text.startsWith("committed"));
      expect(won.length).toBeLessThanOrEqual(1);
      epoch += 1;
      const [standing] = await Promise.all(voters.map(read));
      if (won.length === 1) expect(standing).toBe(won[0]?.replace("committed", "read"));
    }
  });
});
