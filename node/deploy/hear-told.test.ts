import { describe, expect, it } from "vitest";
import {
  appName,
  CANARY_TOPIC,
  type CanaryMessage,
  encodeRecord,
  type MemberName,
  memberName,
  noWaits,
  type OwnerId,
} from "../../mesh/index.ts";
import { MemoryHub } from "../../mesh/sim/memory-mesh.ts";
import type { RolloutInput } from "./core/rollout.ts";
import { hearTold } from "./hear-told.ts";
import { settled } from "./testing/cluster.ts";

const COUNTS = {
  app: appName("hello"),
  rollout: "hello-v2",
  step: 4,
  releases: [{ release: 2, requests: 3, errors: 1, waits: noWaits() }],
};
const MESSAGE: CanaryMessage = { format: 1, proxy: memberName("proxy-1"), startId: "ab", counts: [COUNTS] };

/** What a voter takes in of `message`, told by a member that it knows as `name`. */
async function heardOf(message: Uint8Array, name: string): Promise<readonly RolloutInput[]> {
  const hub = new MemoryHub();
  const voter = hub.join({ name: "host-1", role: "host" });
  const teller = hub.join({ name: "proxy-1", role: "proxy" });
  const heard: RolloutInput[] = [];
  const names = new Map<OwnerId, MemberName>([[teller.self.owner, memberName(name)]]);
  hearTold({
    mesh: voter,
    nameOf: (owner) => names.get(owner),
    onTold: (app, input) => {
      expect(app).toBe("hello");
      heard.push(input);
    },
  });
  for (const mesh of [voter, teller]) mesh.announce();
  await settled();
  teller.tell(voter.self.owner, CANARY_TOPIC, message);
  await settled();
  await Promise.all([voter.stop(), teller.stop()]);
  return heard;
}

describe("hearTold()", () => {
  it("believes of a proxy's counts what that proxy says itself", async () => {
    expect(await heardOf(encodeRecord(MESSAGE), "proxy-1")).toEqual([
      { kind: "counts", proxy: "proxy-1", startId: "ab", counts: COUNTS },
    ]);
    expect(await heardOf(encodeRecord(MESSAGE), "proxy-2")).toEqual([]);
  });

  it("takes nothing of a message that cannot be read", async () => {
    const short = { ...COUNTS, releases: [{ release: 2, requests: 3, errors: 1, waits: [1] }] };
    const bad = [
      new Uint8Array([1, 2, 3]),
      encodeRecord({ ...MESSAGE, counts: [short] }),
      encodeRecord({ ...MESSAGE, counts: [{ ...COUNTS, step: -1 }] }),
    ];
    for (const message of bad) expect(await heardOf(message, "proxy-1")).toEqual([]);
  });
});
