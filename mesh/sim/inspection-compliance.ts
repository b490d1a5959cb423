// Inspection compliance: what every Mesh says of what it holds and how that came to it, over libp2p or in memory.

import { expect, test } from "vitest";
import { ownerId } from "../core/ids.ts";
import { inspectDifference, inspectEntries, inspectSync, type SyncReport } from "../io/inspect-members.ts";
import type { Entry, Mesh } from "../mesh.ts";
import { untilSeen } from "./until.ts";

const NEVER = new AbortController().signal;

type StartAll = (...names: readonly string[]) => Promise<readonly Mesh[]>;

export function inspectionTests(startAll: StartAll, rejoin: (name: string) => Promise<Mesh>): void {
  const startThree = async (): Promise<{ writer: Mesh; asker: Mesh; proxy: Mesh }> => {
    const [writer, asker, proxy] = await startAll("host-1", "host-2", "proxy-1");
    if (writer === undefined || asker === undefined || proxy === undefined) throw new Error("no cluster");
    return { writer, asker, proxy };
  };
  digestTests(startThree);
  entryTests(startThree, rejoin);
}

type StartThree = () => Promise<{ writer: Mesh; asker: Mesh; proxy: Mesh }>;

function digestTests(startThree: StartThree): void {
  test("members that hold the same are in sync, and have one digest", async () => {
    const { writer, asker } = await startThree();
    await writer.whenApplied(writer.write("vm/a", bytes("one")), NEVER);
    const report = await untilSynced(asker);
    expect(summaryOf(report)).toEqual([
      { name: "host-2", reason: null, behind: [], mismatched: [] },
      { name: "host-1", reason: null, behind: [], mismatched: [] },
      { name: "proxy-1", reason: null, behind: [], mismatched: [] },
    ]);
    expect(report.newest.get(writer.self.owner)?.version).toEqual(writer.store.head(writer.self.owner));
    for (const { digests, said } of report.members) {
      expect(digests.map(({ owner, checksum }) => [owner, checksum])).toEqual(
        writer.inspection.digests().map(({ owner, checksum }) => [owner, checksum]),
      );
      expect(said?.describe.length).toBeGreaterThan(0);
    }
  });

  test("who does not answer is a row with the reason", async () => {
    const { asker, proxy } = await startThree();
    await proxy.stop();
    await untilSeen(asker, () => asker.members().some(({ self, connected }) => !self && !connected));
    const { members } = await inspectSync(asker, NEVER);
    expect(members.find(({ member }) => member.name === "proxy-1")).toMatchObject({
      reason: expect.stringMatching(/^(?:not connected|it has left)/),
      said: null,
      digests: [],
      behind: [],
    });
  });
}

function entryTests(startThree: StartThree, rejoin: (name: string) => Promise<Mesh>): void {
  test("an entry says by which way it came, and from whom", async () => {
    const { writer, asker, proxy } = await startThree();
    await writer.whenApplied(writer.write("vm/a", bytes("one")), NEVER);
    const late = await rejoin("late");
    late.announce();
    await untilSeen(late, () => late.store.get(writer.self.owner, "vm/a") !== undefined);
    const held = heldOf(writer, "vm/a");
    expect(writer.inspection.arrivalOf(held)).toMatchObject({ path: "own", from: null });
    const others = { asker: asker.inspection.arrivalOf(held), late: late.inspection.arrivalOf(held) };
    // Whoever was first: the late one may have it from anybody, and gossip goes by others too.
    const owners = [writer, asker, proxy].map(({ self }) => self.owner);
    for (const arrival of [others.asker, others.late]) {
      expect(["gossip", "sync"]).toContain(arrival?.path);
      expect(owners).toContain(arrival?.from);
    }
    expect(others.asker?.from).not.toBe(asker.self.owner);
    expect(others.asker?.agoMs).toBeGreaterThanOrEqual(0);
    const version = { ...held.version, counter: held.version.counter + 1 };
    expect(asker.inspection.arrivalOf({ ...held, version })).toBeNull();
  });

  test("entries are told with their versions, tombstones too, and with values if asked for", async () => {
    const { writer, asker } = await startThree();
    writer.write("vm/a", bytes("one"));
    writer.write("vm/b", bytes("two"));
    await writer.whenApplied(writer.write("vm/b", null), NEVER);
    const target = asker.members().find(({ owner }) => owner === writer.self.owner);
    if (target === undefined) throw new Error("no target");
    const question = { owners: [writer.self.owner], keys: ["vm/a", "vm/b", "vm/c"], withValues: true };
    const answer = await inspectEntries(asker, target, question, NEVER);
    if (!answer.ok) throw new Error(answer.error);
    expect(answer.value).toMatchObject({
      isCut: false,
      entries: [
        {
          key: "vm/a",
          ...heldOf(writer, "vm/a").version,
          bytes: 3,
          value: bytes("one"),
          arrival: { path: "own", from: null },
        },
        { key: "vm/b", bytes: null, value: null, hash: 0 },
      ],
    });
    const stranger = { ...target, owner: ownerId("nobody") };
    expect(await inspectEntries(asker, stranger, question, NEVER)).toMatchObject({ ok: false });
  });

  test("two members that hold the same do not differ, and one that is gone is named", async () => {
    const { writer, asker, proxy } = await startThree();
    await writer.whenApplied(writer.write("vm/a", bytes("one")), NEVER);
    await untilSynced(asker);
    const [, left, right] = asker.members();
    if (left === undefined || right === undefined) throw new Error("no pair");
    expect(await inspectDifference(asker, { left, right }, NEVER)).toMatchObject({
      ok: true,
      value: { entries: [], isCut: false },
    });
    await proxy.stop();
    await untilSeen(asker, () => asker.members().some(({ self, connected }) => !self && !connected));
    const [, first, second] = asker.members();
    if (first === undefined || second === undefined) throw new Error("no pair");
    const answer = await inspectDifference(asker, { left: first, right: second }, NEVER);
    expect(answer).toMatchObject({ ok: false, error: expect.stringContaining("proxy-1 does not answer: ") });
  });
}

/** What was written is on its way still: the first report in which all have it. */
async function untilSynced(asker: Mesh): Promise<SyncReport> {
  for (;;) {
    const report = await inspectSync(asker, NEVER);
    if (report.members.every(({ reason, behind }) => reason === null && behind.length === 0)) return report;
  }
}

function summaryOf({ members }: SyncReport): readonly object[] {
  return members.map(({ member, reason, behind, mismatched }) => {
    return { name: member.name, reason, behind, mismatched };
  });
}

function heldOf(mesh: Mesh, key: string): Entry {
  const held = mesh.inspection.held(mesh.self.owner, key);
  if (held === undefined) throw new Error(`${mesh.self.name} does not hold its own ${key}`);
  return held;
}

function bytes(content: string): Uint8Array {
  return new TextEncoder().encode(content);
}
