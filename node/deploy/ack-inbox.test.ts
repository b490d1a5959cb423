import { describe, expect, it } from "vitest";
import {
  type Ack,
  type AckMessage,
  type AppName,
  appName,
  encodeRecord,
  type Mesh,
  memberName,
  ownerId,
} from "../../mesh/index.ts";
import { AckInbox } from "./ack-inbox.ts";

const owner = ownerId("owner-1");
const proxy = memberName("proxy-1");
const hello = appName("hello");

function ack(applied: number, app: AppName = hello): Ack {
  const none = { nack: null, inFlight: [], cut: [], lastDispatch: [] };
  return { app, applied, verified: applied, applyMs: 1, ...none };
}

function message(acks: readonly Ack[], name: string = proxy): Uint8Array {
  const told: AckMessage = { format: 1, proxy: memberName(name), serial: 1, acks };
  return encodeRecord(told);
}

/** An inbox over a mesh whose syncs end when the test says so. */
function inbox(): {
  readonly inbox: AckInbox;
  readonly passed: string[];
  readonly syncs: PromiseWithResolvers<void>[];
  readonly members: { owner: typeof owner; connected: boolean }[];
  /** Under which name the owner is known. */
  readonly known: { name: ReturnType<typeof memberName> | undefined };
} {
  const passed: string[] = [];
  const syncs: PromiseWithResolvers<void>[] = [];
  const members = [{ owner, connected: true }];
  const sync = (_target: unknown, signal: AbortSignal) => {
    const pending = Promise.withResolvers<void>();
    signal.addEventListener("abort", () => pending.reject(new Error("aborted")));
    syncs.push(pending);
    return pending.promise;
  };
  const known: ReturnType<typeof inbox>["known"] = { name: proxy };
  const mesh = { members: () => members, sync } as unknown as Mesh;
  const deps = {
    mesh,
    nameOf: () => known.name,
    isDriven: (app: AppName) => app === hello,
    onAck: (from: string, { applied }: Ack) => passed.push(`${from} ${applied}`),
  };
  return { inbox: new AckInbox(deps), passed, syncs, members, known };
}

const turn = () => new Promise((resolve) => setImmediate(resolve));

describe("AckInbox", () => {
  it("holds the first answer of a proxy until its store was taken in, the newest of each app", async () => {
    const { inbox: box, passed, syncs } = inbox();
    box.receive(message([ack(4)]), owner);
    box.receive(message([ack(5)]), owner);
    await turn();
    expect(passed).toEqual([]);
    expect(syncs.length).toBe(1);
    syncs[0]!.resolve();
    await turn();
    expect(passed).toEqual(["proxy-1 5"]);
    box.receive(message([ack(6)]), owner);
    expect(passed).toEqual(["proxy-1 5", "proxy-1 6"]);
    expect(syncs.length).toBe(1);
    await box.stop();
  });

  it("begins anew with the next answer when the sync failed, and after each connect", async () => {
    const { inbox: box, passed, syncs, members } = inbox();
    box.receive(message([ack(4)]), owner);
    syncs[0]!.reject(new Error("lost"));
    await turn();
    box.receive(message([ack(5)]), owner);
    syncs[1]!.resolve();
    await turn();
    expect(passed).toEqual(["proxy-1 5"]);
    members[0]!.connected = false;
    box.membersChanged();
    members[0]!.connected = true;
    box.receive(message([ack(6)]), owner);
    await turn();
    expect(passed).toEqual(["proxy-1 5"]);
    expect(syncs.length).toBe(3);
    await box.stop();
  });

  it("takes the first answer of a proxy whose name comes with its store, and of nobody else", async () => {
    for (const [name, expected] of [
      [proxy, ["proxy-1 4"]],
      [memberName("proxy-2"), []],
      [undefined, []],
    ] as const) {
      const { inbox: box, passed, syncs, known } = inbox();
      known.name = undefined;
      box.receive(message([ack(4)]), owner);
      known.name = name;
      syncs[0]!.resolve();
      await turn();
      expect(passed).toEqual(expected);
      await box.stop();
    }
  });

  it("ignores what is no ack, another's name, and apps that nobody drives", async () => {
    const { inbox: box, passed, syncs } = inbox();
    box.receive(new Uint8Array([0xc1]), owner);
    box.receive(message([ack(1)], "proxy-2"), owner);
    expect(syncs).toEqual([]);
    box.receive(message([ack(1, appName("other"))]), owner);
    syncs[0]!.resolve();
    await turn();
    expect(passed).toEqual([]);
    await box.stop();
  });

  it("ends a sync under way when it stops, and passes nothing on after", async () => {
    const { inbox: box, passed, syncs } = inbox();
    box.receive(message([ack(1)]), owner);
    await box.stop();
    syncs[0]!.resolve();
    box.receive(message([ack(2)]), owner);
    await turn();
    expect(passed).toEqual([]);
  });
});
