import { afterEach, beforeEach, describe, expect, onTestFinished, test, vi } from "vitest";
import {
  ENTRY_KEY_BYTES_MAX,
  ENTRY_VALUE_BYTES_MAX,
  INSPECT_AGAIN_MS,
  INSPECT_ENTRIES_MAX,
  INSPECT_TIMEOUT_MS,
  INSPECT_VALUES_BYTES_MAX,
} from "../limits.ts";
import type { Entry, Mesh } from "../mesh.ts";
import { INSPECT_DIGEST_SERVICE, INSPECT_ENTRIES_SERVICE } from "../records/inspection.ts";
import { encodeRecord } from "../records/record-codec.ts";
import { MemoryHub } from "../sim/memory-mesh.ts";
import { inspectDifference, inspectEntries, inspectSync } from "./inspect-members.ts";
import { serveInspection } from "./inspection-service.ts";

const NEVER = new AbortController().signal;
const BYTES = new Uint8Array([1]);

let hub: MemoryHub;
let host: Mesh;
let proxy: Mesh;
beforeEach(() => {
  hub = new MemoryHub();
  host = hub.join({ name: "host-1", role: "host" });
  proxy = hub.join({ name: "proxy-1", role: "proxy" });
  for (const mesh of [host, proxy]) mesh.announce();
});
afterEach(async () => {
  await Promise.all([host.stop(), proxy.stop()]);
});

function memberOf(mesh: Mesh, name: string): ReturnType<Mesh["members"]>[number] {
  const member = mesh.members().find((candidate) => candidate.name === name);
  if (member === undefined) throw new Error(`no ${name}`);
  return member;
}

/** A member that holds what it held when it was cut off: asked through a third, which it still answers. */
async function cutOff(): Promise<Mesh> {
  const asker = hub.join({ name: "host-2", role: "host" });
  asker.announce();
  await Promise.resolve();
  hub.disconnect(host, proxy);
  return asker;
}

describe("a member that is behind", () => {
  test("is told by how many writes of whom, and the others are not", async () => {
    const asker = await cutOff();
    // What it relays would reach the proxy: it holds back what comes from the writer.
    hub.disconnect(host, asker);
    host.write("vm/a", BYTES);
    host.write("vm/b", BYTES);
    const report = await inspectSync(hubView(asker, host), NEVER);
    expect(
      report.members.map(({ member, behind }) => [member.name, behind.map((row) => row.writes)]),
    ).toEqual([
      ["host-2", [2]],
      ["host-1", []],
      ["proxy-1", [2]],
    ]);
    await asker.stop();
  });

  test("and that catches up until the second look is in sync", async () => {
    const asker = await cutOff();
    hub.disconnect(host, asker);
    host.write("vm/a", BYTES);
    const report = inspectSync(hubView(asker, host), NEVER);
    setTimeout(() => hub.reconnect(host, asker), INSPECT_AGAIN_MS / 4);
    expect((await report).members.map(({ behind }) => behind)).toEqual([[], [], []]);
    await asker.stop();
  });
});

describe("a difference", () => {
  test("is told by key with both versions, and a pair that agrees has none", async () => {
    const asker = await cutOff();
    hub.disconnect(host, asker);
    const version = host.write("vm/a", BYTES);
    const view = hubView(asker, host);
    const [left, right] = [{ ...memberOf(asker, "host-1"), connected: true }, memberOf(asker, "proxy-1")];
    const found = await inspectDifference(view, { left, right }, NEVER);
    expect(found).toMatchObject({
      ok: true,
      value: { entries: [{ key: "vm/a", left: { ...version, bytes: 1 }, right: null, newer: "left" }] },
    });
    await asker.stop();
  });
});

describe("a member that", () => {
  test("does not answer in time is a row that says so, and the others are told", async () => {
    const timeouts: AbortController[] = [];
    const timeout = vi.spyOn(AbortSignal, "timeout").mockImplementation(() => {
      timeouts.push(new AbortController());
      return timeouts.at(-1)?.signal ?? NEVER;
    });
    onTestFinished(() => timeout.mockRestore());
    const isAsked = Promise.withResolvers<void>();
    proxy.handle(INSPECT_DIGEST_SERVICE, async function* () {
      isAsked.resolve();
      await new Promise(() => undefined);
    });
    const hasAnswered = Promise.withResolvers<void>();
    const call: Mesh["call"] = async function* (target, ...rest) {
      yield* host.call(target, ...rest);
      hasAnswered.resolve();
    };
    const report = inspectSync({ inspection: host.inspection, members: () => host.members(), call }, NEVER);
    await Promise.all([isAsked.promise, hasAnswered.promise]);
    for (const controller of timeouts) controller.abort();
    expect((await report).members.map(({ member, reason }) => [member.name, reason])).toEqual([
      ["host-1", null],
      ["proxy-1", `no answer within ${INSPECT_TIMEOUT_MS} ms`],
    ]);
  });

  test.each([
    ["bytes that are no record", new Uint8Array([0xc1])],
    ["a record of another release", encodeRecord({ format: 2 })],
    ["nothing of itself", encodeRecord({ format: 1, member: null, isSame: false, owners: [] })],
  ])("answers %s is a row that says so", async (_what, chunk) => {
    proxy.handle(INSPECT_DIGEST_SERVICE, async function* () {
      yield chunk;
    });
    const [, row] = (await inspectSync(host, NEVER)).members;
    expect(row?.reason).toMatch(/its answer cannot be read/);
  });

  test("answers without an end is cut at the bound", async () => {
    proxy.handle(INSPECT_DIGEST_SERVICE, async function* () {
      for (;;) yield new Uint8Array(256 * 1024);
    });
    const [, row] = (await inspectSync(host, NEVER)).members;
    expect(row?.reason).toMatch(/more than \d+ bytes/);
  });

  test("is asked nonsense fails the call and goes on", async () => {
    for (const service of [INSPECT_DIGEST_SERVICE, INSPECT_ENTRIES_SERVICE]) {
      const call = host.call(proxy.self.owner, service, new Uint8Array([1, 2]), NEVER);
      await expect(call[Symbol.asyncIterator]().next()).rejects.toThrow(/inspect-/);
    }
    expect((await inspectSync(host, NEVER)).members.map(({ reason }) => reason)).toEqual([null, null]);
  });

  test("holds more entries than an answer may have says that it is cut", async () => {
    const held = function* (): Generator<Entry> {
      const { owner } = proxy.self;
      for (let counter = 1; counter <= INSPECT_ENTRIES_MAX + 1; counter += 1)
        yield { owner, key: `vm/${counter}`, value: BYTES, version: { incarnation: 1, startId: 1, counter } };
    };
    const inspection = { ...proxy.inspection, entriesOf: held, arrivalOf: () => null };
    serveInspection({ inspection, handle: (service, handler) => proxy.handle(service, handler) });
    const question = { owners: [proxy.self.owner], keys: null, withValues: false };
    const answer = await inspectEntries(host, memberOf(host, "proxy-1"), question, NEVER);
    expect(answer.ok && [answer.value.entries.length, answer.value.isCut]).toEqual([
      INSPECT_ENTRIES_MAX,
      true,
    ]);
  });

  test("holds keys that are as long as may be is cut at the bytes of an answer, and is heard all the same", async () => {
    const held = function* (): Generator<Entry> {
      const { owner } = proxy.self;
      for (let counter = 1; counter <= INSPECT_ENTRIES_MAX; counter += 1) {
        const key = `vm/${counter}`.padEnd(ENTRY_KEY_BYTES_MAX, "x");
        yield { owner, key, value: BYTES, version: { incarnation: 1, startId: 1, counter } };
      }
    };
    const inspection = { ...proxy.inspection, entriesOf: held, arrivalOf: () => null };
    serveInspection({ inspection, handle: (service, handler) => proxy.handle(service, handler) });
    const question = { owners: [proxy.self.owner], keys: null, withValues: false };
    const answer = await inspectEntries(host, memberOf(host, "proxy-1"), question, NEVER);
    expect(answer.ok ? answer.value.isCut : answer.error).toBe(true);
    expect(answer.ok && answer.value.entries.length).toBeGreaterThan(INSPECT_ENTRIES_MAX / 2);
  });

  test("holds large values tells those that fit, and the entries of the others without", async () => {
    const value = new Uint8Array(ENTRY_VALUE_BYTES_MAX);
    const fits = Math.floor(INSPECT_VALUES_BYTES_MAX / value.length);
    for (let at = 0; at < fits + 2; at += 1) host.write(`vm/${at}`, Uint8Array.from(value).fill(at));
    const question = { owners: [host.self.owner], keys: null, withValues: true };
    const answer = await inspectEntries(host, memberOf(host, "host-1"), question, NEVER);
    const entries = answer.ok ? answer.value.entries.filter(({ key }) => key.startsWith("vm/")) : [];
    expect(entries).toHaveLength(fits + 2);
    expect(
      entries.filter((entry) => entry.value === null && entry.bytes === value.length).length,
    ).toBeGreaterThan(0);
    const bytes = entries.reduce((sum, entry) => sum + (entry.value?.length ?? 0), 0);
    expect(bytes).toBeLessThanOrEqual(INSPECT_VALUES_BYTES_MAX);
  });
});

/** As `asker` sees it, with calls that reach `other` all the same: entries are cut off, questions are not. */
function hubView(asker: Mesh, other: Mesh): Pick<Mesh, "call" | "members" | "inspection"> {
  return {
    inspection: asker.inspection,
    members: () =>
      asker
        .members()
        .map((member) => (member.owner === other.self.owner ? { ...member, connected: true } : member)),
    call: (target, ...rest) => (target === other.self.owner ? other : asker).call(target, ...rest),
  };
}
