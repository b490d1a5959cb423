// What gossipsub does for us, as cases that the real router and the simulator's stand-in must both pass.

import { afterEach, describe, expect, test } from "vitest";

export interface Received {
  readonly text: string;
  /** The member that handed it on. */
  readonly from: number;
}

/** Members of one topic, each a number. */
export interface OverlayCluster {
  /** A new member, subscribed, connected to nobody. */
  join(): Promise<number>;
  /** Resolves when both know that the other subscribes. */
  dial(from: number, to: number): Promise<void>;
  /** Returns to whom it was sent at once, ascending. */
  publish(from: number, text: string): Promise<readonly number[]>;
  received(member: number): readonly Received[];
  mesh(member: number): readonly number[];
  /** Resolves when it holds. */
  until(holds: () => boolean): Promise<void>;
  /** Resolves when every member has had so many more heartbeats. */
  heartbeats(count: number): Promise<void>;
  dispose(): Promise<void>;
}

/** A mesh never has more members by their own wish. */
const MESH_HIGH = 6;

async function joinAll(cluster: OverlayCluster, count: number): Promise<readonly number[]> {
  const members: number[] = [];
  for (let at = 0; at < count; at += 1) members.push(await cluster.join());
  return members;
}

async function connectAll(cluster: OverlayCluster, members: readonly number[]): Promise<void> {
  for (const [at, left] of members.entries()) {
    for (const right of members.slice(0, at)) await cluster.dial(left, right);
  }
}

export function overlayCompliance(name: string, create: () => Promise<OverlayCluster>): void {
  describe(name, () => describeCases(create));
}

function describeCases(create: () => Promise<OverlayCluster>): void {
  let cluster: OverlayCluster;

  afterEach(() => cluster.dispose());

  test("each message comes to each member exactly once, and not to who sent it", async () => {
    cluster = await create();
    const members = await joinAll(cluster, 6);
    await connectAll(cluster, members);
    for (const member of members) await cluster.publish(member, `of ${member}`);
    await cluster.until(() => members.every((member) => cluster.received(member).length >= 5));
    await cluster.heartbeats(2);
    for (const member of members) {
      const texts = cluster.received(member).map(({ text }) => text);
      const expected = members.filter((other) => other !== member).map((other) => `of ${other}`);
      expect(texts.sort()).toEqual(expected.sort());
    }
  });

  test("a publish goes to every connected peer at once, also to those outside the mesh", async () => {
    cluster = await create();
    const [hub = 0, ...leaves] = await joinAll(cluster, MESH_HIGH + 3);
    for (const leaf of leaves) await cluster.dial(leaf, hub);
    expect(await cluster.publish(hub, "news")).toEqual(leaves);
    await cluster.until(() => leaves.every((leaf) => cluster.received(leaf).length > 0));
    for (const leaf of leaves) expect(cluster.received(leaf)).toEqual([{ text: "news", from: hub }]);
    expect(cluster.mesh(hub).length).toBeLessThanOrEqual(MESH_HIGH);
  });

  test("along a line a message is handed on from neighbour to neighbour", async () => {
    cluster = await create();
    const members = await joinAll(cluster, 5);
    for (const [at, member] of members.entries()) {
      const before = members[at - 1];
      if (before !== undefined) await cluster.dial(member, before);
    }
    const [first = 0, ...others] = members;
    expect(await cluster.publish(first, "news")).toEqual([others[0]]);
    await cluster.until(() => others.every((member) => cluster.received(member).length > 0));
    for (const [at, member] of others.entries()) {
      expect(cluster.received(member)).toEqual([{ text: "news", from: members[at] }]);
    }
  });

  test("a late joiner that enters the mesh is never told what was before it", async () => {
    cluster = await create();
    const [left = 0, right = 0] = await joinAll(cluster, 2);
    await cluster.dial(right, left);
    await cluster.publish(left, "before");
    await cluster.until(() => cluster.received(right).length > 0);
    const late = await cluster.join();
    await cluster.dial(late, left);
    await cluster.heartbeats(3);
    expect(cluster.mesh(left)).toContain(late);
    await cluster.publish(left, "after");
    await cluster.until(() => cluster.received(late).length > 0);
    expect(cluster.received(late)).toEqual([{ text: "after", from: left }]);
  });

  test("a late joiner outside a full mesh is offered what the cache still has, and asks for it", async () => {
    cluster = await create();
    const [hub = 0, ...leaves] = await joinAll(cluster, MESH_HIGH + 1);
    for (const leaf of leaves) await cluster.dial(leaf, hub);
    await cluster.until(() => cluster.mesh(hub).length === MESH_HIGH);
    const late = await cluster.join();
    await cluster.publish(hub, "before");
    await cluster.dial(late, hub);
    await cluster.until(() => cluster.received(late).length > 0);
    expect(cluster.received(late)).toEqual([{ text: "before", from: hub }]);
    expect(cluster.mesh(hub)).not.toContain(late);
  });

  test("the same message published again goes nowhere", async () => {
    cluster = await create();
    const [left = 0, right = 0] = await joinAll(cluster, 2);
    await cluster.dial(right, left);
    await cluster.publish(left, "news");
    await cluster.until(() => cluster.received(right).length > 0);
    expect(await cluster.publish(left, "news")).toEqual([]);
    await cluster.publish(left, "other");
    await cluster.until(() => cluster.received(right).length > 1);
    expect(cluster.received(right).map(({ text }) => text)).toEqual(["news", "other"]);
  });
}
