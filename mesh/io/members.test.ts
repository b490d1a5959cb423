import { pino } from "pino";
import { expect, test } from "vitest";
import { memberName, type OwnerId, ownerId } from "../core/ids.ts";
import { decodeMember, encodeMember, MEMBER_KEY } from "../core/member.ts";
import { OwnState } from "../core/own-state.ts";
import { ALL_PROTECTIONS } from "../core/protections.ts";
import { Store } from "../core/store.ts";
import { standInCrypto } from "../sim/stand-in-crypto.ts";
import { MemberBook } from "./member-book.ts";
import { viewMembers } from "./members.ts";

const [OLD, NEW] = [ownerId("old"), ownerId("new")];

/** Both are called host-1; the clock of the old one was ahead. */
function twoOfOneName(): Store {
  const store = new Store(standInCrypto(OLD), { protections: ALL_PROTECTIONS, isControl: () => false });
  for (const [owner, incarnation] of [
    [OLD, 2_000],
    [NEW, 1_000],
  ] as const) {
    const own = new OwnState(owner, { incarnation, startId: 1 }, standInCrypto(owner));
    const name = memberName("host-1");
    own.write(
      MEMBER_KEY,
      encodeMember({ name, role: "host", addresses: [], startedAtMs: 0, refutation: 0, isLeaving: false }),
    );
    store.install(own.state);
  }
  return store;
}

function shown(self: OwnerId, connected: readonly OwnerId[]): readonly OwnerId[] {
  const livenessOf = () => ({ state: "alive", sinceMs: 0, why: "" }) as const;
  const isConnected = (owner: OwnerId) => connected.includes(owner);
  const view = viewMembers(twoOfOneName(), { self, isConnected, livenessOf });
  expect(view.superseded).toHaveLength(1);
  return view.shown.map(({ owner }) => owner);
}

test("of two owners with one name who is connected is shown, whatever their clocks said", () => {
  const observer = ownerId("observer");
  expect(shown(observer, [NEW])).toEqual([NEW]);
  expect(shown(observer, [OLD])).toEqual([OLD]);
  expect(shown(observer, [OLD, NEW])).toEqual([OLD]);
  expect(shown(observer, [])).toEqual([OLD]);
});

test("a member sees itself, though a dead one of its name had a clock that was ahead", () => {
  expect(shown(NEW, [])).toEqual([NEW]);
});

test("a member that leaves and objects to an accusation on its way out still says that it leaves", () => {
  const own = new OwnState(OLD, { incarnation: 1, startId: 1 }, standInCrypto(OLD));
  const store = new Store(standInCrypto(OLD), { protections: ALL_PROTECTIONS, isControl: () => false });
  store.install(own.state);
  const book = new MemberBook({
    self: { owner: OLD, name: memberName("host-1"), role: "host" },
    store,
    isConnected: () => false,
    livenessOf: () => ({ state: "alive", sinceMs: 0, why: "" }),
    write: (key, value) => {
      own.write(key, value);
      return own.state.head;
    },
    logger: pino({ level: "silent" }),
  });
  book.begin([]);
  book.leave();
  book.object(1);
  const written = own.state.get(MEMBER_KEY)?.value;
  expect(written && decodeMember(written)).toMatchObject({ value: { isLeaving: true, refutation: 1 } });
});
