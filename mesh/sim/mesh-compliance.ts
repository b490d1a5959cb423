// MeshCompliance: what every Mesh does, over libp2p or in memory. One suite for both, so that who tests with one may
// trust the other.

import { afterEach, describe, expect, test } from "vitest";
import { memberName, ownerId } from "../core/ids.ts";
import { compareVersions } from "../core/version.ts";
import { ENTRY_KEY_BYTES_MAX, ENTRY_VALUE_BYTES_MAX } from "../limits.ts";
import { type EntryChange, type MemberRole, type Mesh, MeshCallError } from "../mesh.ts";
import { inspectionTests } from "./inspection-compliance.ts";
import { untilFull, untilSeen } from "./until.ts";

/** One cluster for one test. */
export interface ComplianceCluster {
  /** Starts a member, or restarts it after its `stop()`: same name, same state. It is not announced yet. */
  join(name: string, role: MemberRole): Promise<Mesh>;
  /** Stops what still runs and removes what is left. */
  dispose(): Promise<void>;
}

const NEVER = new AbortController().signal;

export function meshCompliance(
  implementation: string,
  createCluster: () => Promise<ComplianceCluster>,
): void {
  let cluster: ComplianceCluster | undefined;

  afterEach(async () => {
    await cluster?.dispose();
    cluster = undefined;
  });

  async function startAll(...names: readonly string[]): Promise<readonly Mesh[]> {
    cluster = await createCluster();
    const meshes: Mesh[] = [];
    for (const name of names) meshes.push(await cluster.join(name, roleOf(name)));
    for (const mesh of meshes) mesh.announce();
    await untilFull(meshes);
    return meshes;
  }

  async function startTwo(): Promise<readonly [Mesh, Mesh]> {
    const [left, right] = await startAll("host-1", "proxy-1");
    if (left === undefined || right === undefined) throw new Error("no cluster");
    return [left, right];
  }

  async function rejoin(name: string): Promise<Mesh> {
    if (cluster === undefined) throw new Error("no cluster");
    return cluster.join(name, roleOf(name));
  }

  describe(`${implementation}: entries`, () => entryTests(startTwo));
  describe(`${implementation}: starts`, () => restartTests(startTwo, rejoin));
  describe(`${implementation}: writes that wait`, () => appliedTests(startAll, rejoin));
  describe(`${implementation}: members`, () => memberTests(startTwo, startAll));
  describe(`${implementation}: calls and tells`, () => callTests(startTwo));
  describe(`${implementation}: inspection`, () => inspectionTests(startAll, rejoin));
}

type StartTwo = () => Promise<readonly [Mesh, Mesh]>;

function entryTests(startTwo: StartTwo): void {
  test("a write is seen by the other with its bytes and version", async () => {
    const [writer, reader] = await startTwo();
    const version = writer.write("vm/a", bytes("one"));
    await untilSeen(reader, () => textOf(reader, writer, "vm/a") === "one");
    expect(reader.store.get(writer.self.owner, "vm/a")?.version).toEqual(version);
    expect(writer.store.get(writer.self.owner, "vm/a")?.version).toEqual(version);
  });

  test("the same bytes again change nothing, others get a higher version", async () => {
    const [writer] = await startTwo();
    const first = writer.write("vm/a", bytes("one"));
    expect(writer.write("vm/a", bytes("one"))).toEqual(first);
    expect(compareVersions(writer.write("vm/a", bytes("two")), first)).toBeGreaterThan(0);
  });

  test("a deletion is told as a null value and takes the entry from the lists", async () => {
    const [writer, reader] = await startTwo();
    const changes: EntryChange[] = [];
    writer.write("vm/a", bytes("one"));
    writer.write("vm/b", bytes("two"));
    await untilSeen(reader, () => textOf(reader, writer, "vm/b") === "two");
    reader.onChange((change) => changes.push(change));
    writer.write("vm/a", null);
    await untilSeen(reader, () => textOf(reader, writer, "vm/a") === undefined);
    expect(changes.map(({ key, value }) => [key, value])).toEqual([["vm/a", null]]);
    expect(reader.store.list("vm/").map((entry) => entry.key)).toEqual(["vm/b"]);
  });

  test("sync resolves when all that the other held is here", async () => {
    const [writer, reader] = await startTwo();
    for (let at = 0; at < 50; at += 1) writer.write(`vm/${at}`, bytes(`${at}`));
    await reader.sync(writer.self.owner, NEVER);
    expect(reader.store.list("vm/")).toHaveLength(50);
    await expect(reader.sync(reader.self.owner, NEVER)).resolves.toBeUndefined();
  });

  test("sync rejects on abort and for a target that is not there", async () => {
    const [reader, other] = await startTwo();
    await expect(reader.sync(other.self.owner, AbortSignal.abort())).rejects.toThrow();
    await expect(reader.sync(ownerId("nobody"), NEVER)).rejects.toThrow();
  });

  test("a write over its bound throws and changes nothing", async () => {
    const [writer] = await startTwo();
    const before = writer.store.head(writer.self.owner);
    expect(() => writer.write("k".repeat(ENTRY_KEY_BYTES_MAX + 1), bytes("x"))).toThrow();
    expect(() => writer.write("vm/a", new Uint8Array(ENTRY_VALUE_BYTES_MAX + 1))).toThrow();
    expect(writer.store.head(writer.self.owner)).toEqual(before);
  });
}

function restartTests(startTwo: StartTwo, rejoin: (name: string) => Promise<Mesh>): void {
  test("writes before announce are seen together, after it", async () => {
    const [, reader] = await startTwo();
    const late = await rejoin("late");
    late.write("vm/a", bytes("one"));
    late.write("vm/b", bytes("two"));
    const changes: EntryChange[] = [];
    reader.onChange((change) => changes.push(change));
    expect(textOf(reader, late, "vm/b")).toBeUndefined();
    late.announce();
    await untilSeen(reader, () => textOf(reader, late, "vm/b") === "two");
    expect(textOf(reader, late, "vm/a")).toBe("one");
    expect(changes.every((change) => change.version.counter <= 3)).toBe(true);
  });

  test("a restart has a higher incarnation and never takes an entry away that it writes again", async () => {
    const [writer, reader] = await startTwo();
    const first = writer.write("vm/kept", bytes("one"));
    writer.write("vm/gone", bytes("one"));
    await untilSeen(reader, () => textOf(reader, writer, "vm/gone") === "one");
    const changes: EntryChange[] = [];
    reader.onChange((change) => changes.push(change));
    await writer.stop();
    const again = await rejoin("host-1");
    expect(again.self.owner).toBe(writer.self.owner);
    const second = again.write("vm/kept", bytes("one"));
    expect(compareVersions(second, first)).toBeGreaterThan(0);
    again.announce();
    await untilSeen(reader, () => textOf(reader, writer, "vm/gone") === undefined);
    expect(reader.store.get(writer.self.owner, "vm/kept")?.version).toEqual(second);
    expect(changes.filter(({ key, value }) => key === "vm/kept" && value === null)).toEqual([]);
  });

  test("what was written while a member was away is there when it is back", async () => {
    const [writer, reader] = await startTwo();
    await writer.stop();
    reader.write("app/x", bytes("news"));
    const again = await rejoin("host-1");
    again.announce();
    await untilSeen(again, () => textOf(again, reader, "app/x") === "news");
  });
}

type StartAll = (...names: readonly string[]) => Promise<readonly Mesh[]>;

function appliedTests(startAll: StartAll, rejoin: (name: string) => Promise<Mesh>): void {
  /** Three members; the proxy is registered, as all know. */
  async function startWithProxy(): Promise<{ writer: Mesh; host: Mesh; proxy: Mesh }> {
    const [writer, host, proxy] = await startAll("host-1", "host-2", "proxy-1");
    if (writer === undefined || host === undefined || proxy === undefined) throw new Error("no cluster");
    proxy.write("proxy/proxy-1", bytes("registered"));
    await untilSeen(writer, () => textOf(writer, proxy, "proxy/proxy-1") !== undefined);
    return { writer, host, proxy };
  }

  async function lose(writer: Mesh, lost: Mesh): Promise<void> {
    await lost.stop();
    const isLost = () =>
      writer.members().some(({ owner, connected }) => owner === lost.self.owner && !connected);
    await untilSeen(writer, isLost);
  }

  test("a write is applied when all others have it, and each is named with its time", async () => {
    const { writer, host, proxy } = await startWithProxy();
    const report = await writer.whenApplied(writer.write("custom/a", bytes("one")), NEVER);
    expect(report.missing).toEqual([]);
    expect(namesOf(report.acks)).toEqual(["host-2 host", "proxy-1 proxy"]);
    expect(report.acks.every(({ ms }) => ms >= 0)).toBe(true);
    for (const mesh of [host, proxy]) expect(textOf(mesh, writer, "custom/a")).toBe("one");
  });

  test("a deletion, and bytes that were there already, are waited for like any write", async () => {
    const { writer, proxy } = await startWithProxy();
    const version = writer.write("custom/a", bytes("one"));
    await writer.whenApplied(version, NEVER);
    expect(writer.write("custom/a", bytes("one"))).toEqual(version);
    expect((await writer.whenApplied(version, NEVER)).acks).toHaveLength(2);
    const deleted = await writer.whenApplied(writer.write("custom/a", null), NEVER);
    expect(deleted.acks).toHaveLength(2);
    expect(textOf(proxy, writer, "custom/a")).toBeUndefined();
  });

  test("a member settles what it was told before it answers", async () => {
    const { writer, proxy } = await startWithProxy();
    const told: string[] = [];
    const settled: string[] = [];
    proxy.onChange(({ key }) => told.push(key));
    proxy.beforeApplied(() => settled.push(...told));
    writer.write("custom/a", bytes("one"));
    await writer.whenApplied(writer.write("custom/b", bytes("two")), NEVER);
    expect(settled).toEqual(expect.arrayContaining(["custom/a", "custom/b"]));
  });

  test("a registered proxy that is gone is named, and answers when it is back, restarted", async () => {
    const { writer, proxy } = await startWithProxy();
    await lose(writer, proxy);
    const version = writer.write("custom/a", bytes("one"));
    const report = writer.whenApplied(version, NEVER);
    const givenUp = await writer.whenApplied(version, AbortSignal.abort());
    expect(namesOf(givenUp.missing)).toEqual(["host-2 host", "proxy-1 proxy"]);
    expect(givenUp.missing.map(({ why }) => why)).toContain("not connected");
    const again = await rejoin("proxy-1");
    again.announce();
    expect(namesOf((await report).acks)).toEqual(["host-2 host", "proxy-1 proxy"]);
    expect((await report).missing).toEqual([]);
  });

  test("who is lost after the write stays in its set, and is in the set of no later one", async () => {
    const { host } = await startWithProxy();
    const late = await rejoin("late");
    await untilSeen(late, () => late.members().filter(({ connected }) => connected).length === 4);
    // Nobody has it before `announce`: so the one can be lost before it answers.
    const abort = new AbortController();
    const first = late.whenApplied(late.write("custom/a", bytes("one")), abort.signal);
    await lose(late, host);
    late.announce();
    const second = await late.whenApplied(late.write("custom/b", bytes("two")), NEVER);
    expect(namesOf(second.acks)).toEqual(["host-1 host", "proxy-1 proxy"]);
    abort.abort();
    const report = await first;
    expect(namesOf(report.acks)).toEqual(["host-1 host", "proxy-1 proxy"]);
    expect(report.missing).toMatchObject([{ name: "host-2", role: "host", why: "its connection was lost" }]);
  });

  test("a member that stops ends its waits and names who has not answered", async () => {
    const { writer } = await startWithProxy();
    const report = writer.whenApplied(writer.write("custom/a", bytes("one")), NEVER);
    await writer.stop();
    expect((await report).missing.map(({ why }) => why)).toEqual([
      "this member stopped",
      "this member stopped",
    ]);
  });
}

function namesOf(members: readonly { readonly name: string; readonly role: string }[]): readonly string[] {
  return members.map(({ name, role }) => `${name} ${role}`).sort();
}

function memberTests(
  startTwo: StartTwo,
  startAll: (...names: readonly string[]) => Promise<readonly Mesh[]>,
): void {
  test("members lists ourselves first, then the others by name", async () => {
    const [first] = await startAll("host-2", "host-1", "proxy-1");
    const shown = first
      ?.members()
      .map(({ name, role, self, connected }) => ({ name, role, self, connected }));
    expect(shown).toEqual([
      { name: memberName("host-2"), role: "host", self: true, connected: true },
      { name: memberName("host-1"), role: "host", self: false, connected: true },
      { name: memberName("proxy-1"), role: "proxy", self: false, connected: true },
    ]);
  });

  test("a member that stopped is shown as not connected", async () => {
    const [first, second] = await startTwo();
    await second.stop();
    const isLost = () => first.members().some((member) => !member.self && !member.connected);
    await untilSeen(first, isLost);
    expect(first.members()).toHaveLength(2);
  });
}

function callTests(startTwo: StartTwo): void {
  test("a call streams chunks, to another and to ourselves", async () => {
    const [caller, answerer] = await startTwo();
    answerer.handle("echo", async function* (request, from) {
      for (let at = 0; at < 3; at += 1) yield bytes(`${at} ${text(request)} ${from === caller.self.owner}`);
    });
    const expected = ["0 hi true", "1 hi true", "2 hi true"];
    expect(await collect(caller.call(answerer.self.owner, "echo", bytes("hi"), NEVER))).toEqual(expected);
    const own = await collect(answerer.call(answerer.self.owner, "echo", bytes("hi"), NEVER));
    expect(own).toEqual(expected.map((line) => line.replace("true", "false")));
  });

  test("a call that fails says whose fault it was", async () => {
    const [caller, answerer] = await startTwo();
    answerer.handle("broken", async function* () {
      yield bytes("first");
      throw new Error("no bundle here");
    });
    const target = answerer.self.owner;
    expect(await codeOf(caller.call(target, "broken", bytes(""), NEVER))).toBe("failed: no bundle here");
    expect(await codeOf(caller.call(target, "unknown", bytes(""), NEVER))).toMatch(/^no-service/);
    expect(await codeOf(caller.call(ownerId("nobody"), "broken", bytes(""), NEVER))).toMatch(/^unreachable/);
    expect(await codeOf(caller.call(target, "broken", bytes(""), AbortSignal.abort()))).toMatch(/^aborted/);
  });

  test("an abort ends both sides of a call", async () => {
    const [caller, answerer] = await startTwo();
    const ended = Promise.withResolvers<void>();
    answerer.handle("endless", async function* (_request, _from, signal) {
      signal.addEventListener("abort", () => ended.resolve());
      yield bytes("first");
      await new Promise(() => undefined);
    });
    const abort = new AbortController();
    const call = caller.call(answerer.self.owner, "endless", bytes(""), abort.signal);
    const iterator = call[Symbol.asyncIterator]();
    expect(text((await iterator.next()).value)).toBe("first");
    const next = iterator.next();
    abort.abort();
    await expect(next).rejects.toMatchObject({ code: "aborted" });
    await ended.promise;
  });

  test("leaving the iteration ends the handler", async () => {
    const [caller, answerer] = await startTwo();
    const ended = Promise.withResolvers<void>();
    answerer.handle("watch", async function* (_request, _from, signal) {
      signal.addEventListener("abort", () => ended.resolve());
      for (;;) yield bytes("tick");
    });
    for await (const _chunk of caller.call(answerer.self.owner, "watch", bytes(""), NEVER)) break;
    await ended.promise;
  });

  test("a call whose target stops ends as unreachable", async () => {
    const [caller, answerer] = await startTwo();
    answerer.handle("endless", async function* () {
      yield bytes("first");
      await new Promise(() => undefined);
    });
    const iterator = caller.call(answerer.self.owner, "endless", bytes(""), NEVER)[Symbol.asyncIterator]();
    await iterator.next();
    const next = iterator.next();
    await Promise.all([answerer.stop(), expect(next).rejects.toMatchObject({ code: "unreachable" })]);
  });

  test("tells arrive in order, at others and at ourselves", async () => {
    const [teller, listener] = await startTwo();
    const heard: string[] = [];
    const all = Promise.withResolvers<void>();
    for (const mesh of [teller, listener]) {
      mesh.onTell("ack", (message, from) => {
        heard.push(`${mesh.self.name} ${text(message)} ${from === teller.self.owner}`);
        if (heard.length === 3) all.resolve();
      });
    }
    expect(teller.tell(listener.self.owner, "ack", bytes("1"))).toBe(true);
    expect(teller.tell(listener.self.owner, "ack", bytes("2"))).toBe(true);
    expect(teller.tell(teller.self.owner, "ack", bytes("own"))).toBe(true);
    expect(teller.tell(ownerId("nobody"), "ack", bytes("x"))).toBe(false);
    await all.promise;
    const atListener = heard.filter((line) => line.startsWith("proxy-1"));
    expect(atListener).toEqual(["proxy-1 1 true", "proxy-1 2 true"]);
    expect(heard).toContain("host-1 own true");
  });
}

function roleOf(name: string): MemberRole {
  return name.startsWith("proxy") ? "proxy" : "host";
}

function bytes(content: string): Uint8Array {
  return new TextEncoder().encode(content);
}

function text(content: Uint8Array): string {
  return new TextDecoder().decode(content);
}

function textOf(reader: Mesh, writer: Mesh, key: string): string | undefined {
  const value = reader.store.get(writer.self.owner, key)?.value;
  return value == null ? undefined : text(value);
}

async function collect(chunks: AsyncIterable<Uint8Array>): Promise<readonly string[]> {
  const collected: string[] = [];
  for await (const chunk of chunks) collected.push(text(chunk));
  return collected;
}

/** `code: message` of the error that a call ends with. */
async function codeOf(chunks: AsyncIterable<Uint8Array>): Promise<string> {
  try {
    await collect(chunks);
    return "no error";
  } catch (error) {
    return error instanceof MeshCallError ? `${error.code}: ${error.message}` : String(error);
  }
}
