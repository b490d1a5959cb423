import { pino } from "pino";
import { afterEach, beforeEach, expect, test } from "vitest";
import { accusationKey, encodeAccusation } from "../core/accusation-entry.ts";
import { memberName, type OwnerId, ownerId } from "../core/ids.ts";
import { encodeMember, MEMBER_KEY } from "../core/member.ts";
import { LivenessLoop } from "./liveness-loop.ts";

const [SELF, ACCUSER, SUSPECT] = ["self", "accuser", "suspect"].map(ownerId) as [OwnerId, OwnerId, OwnerId];

let loop: LivenessLoop;
let counters: string[];

beforeEach(() => {
  counters = [];
  loop = new LivenessLoop(
    { self: SELF, incarnation: 1 },
    {
      send: () => true,
      write: () => undefined,
      memberEntries: () => [],
      writeRefutation: () => undefined,
      doubt: () => undefined,
      onJudged: () => undefined,
      count: (counter) => void counters.push(counter),
      logger: pino({ level: "silent" }),
    },
  );
  for (const owner of [ACCUSER, SUSPECT]) changed(owner, MEMBER_KEY, memberEntry(owner));
});
afterEach(() => loop.stop());

function changed(owner: OwnerId, key: string, value: Uint8Array): void {
  const version = { incarnation: 1, startId: 1, counter: 1 };
  loop.changed({ owner, key, value, version, path: "gossip", from: owner });
}

function memberEntry(owner: OwnerId): Uint8Array {
  const [name, role] = [memberName(owner), "host"] as const;
  return encodeMember({ name, role, addresses: [], startedAtMs: 0, refutation: 0, isLeaving: false });
}

test("an accusation that cannot be read takes the place of the one before: that is not said any more", () => {
  const key = accusationKey(SUSPECT);
  const said = encodeAccusation({ life: { incarnation: 1, refutation: 0 }, reason: "silent" });
  changed(ACCUSER, key, said);
  expect(loop.judgement(SUSPECT).state).toBe("suspect");
  changed(ACCUSER, key, new Uint8Array([1, 2, 3]));
  expect(counters).toContain("refused-accusation");
  expect(loop.judgement(SUSPECT).state).toBe("alive");
});
