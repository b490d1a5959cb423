import fc from "fast-check";
import { Packr } from "msgpackr";
import { expect, test } from "vitest";
import { COUNTER_MAX, DIGEST_ITEMS_MAX, INCARNATION_MAX } from "../limits.ts";
import { decodeMessage, encodeMessage } from "./codec.ts";
import { ROOT_BYTES, SIGNATURE_BYTES } from "./head.ts";
import { memberName, ownerId } from "./ids.ts";
import type { DigestItem, HostDelta, Message } from "./message.ts";

const OWNER = ownerId("o");
const START = { incarnation: 5, startId: 6 };
const ITEM: DigestItem = {
  owner: OWNER,
  start: START,
  counter: 3,
  compacted: 1,
  checksum: 2 ** 40 + 1,
  isInForce: false,
  wantsRepair: false,
};
const DELTA: HostDelta = {
  owner: OWNER,
  start: START,
  from: 1,
  to: 3,
  head: {
    counter: 4,
    completeAt: 2,
    born: { incarnation: 5, startId: 1 },
    raisedAbove: 9,
    root: new Uint8Array(ROOT_BYTES).fill(7),
    signature: new Uint8Array(SIGNATURE_BYTES).fill(8),
  },
  compacted: 1,
  isRepair: false,
  entries: [
    { owner: OWNER, key: "a", value: new Uint8Array([255]), version: { ...START, counter: 2 } },
    { owner: OWNER, key: "é", value: null, version: { ...START, counter: 3 } },
  ],
};

/** Counter, complete at, born, raised above, root, signature. */
const HEAD = `970402050109 c420 ${"07".repeat(ROOT_BYTES)} c440 ${"08".repeat(SIGNATURE_BYTES)}`;

/** One of each, with the bytes that this release ships. A change here breaks the talk between releases. */
const GOLDEN: Record<Message["kind"], readonly [Message, string]> = {
  hello: [
    { kind: "hello", cluster: "c", name: memberName("n"), role: "proxy", incarnation: 1_764_000_000_000 },
    "0101 94a163a16ea570726f7879cb4279ab697e800000",
  ],
  gossip: [{ kind: "gossip", delta: DELTA }, `0102 99a16f0506010301c2 ${HEAD} 9293a161c401ff0293a2c3a9c003`],
  digest: [{ kind: "digest", round: 7, items: [ITEM] }, "0103 92079198a16f05060301cb4270000000001000c2c2"],
  pull: [{ kind: "pull", round: 7, items: [] }, "0104 920790"],
  delta: [
    { kind: "delta", round: 7, hasMore: true, isLacking: false, deltas: [{ ...DELTA, entries: [] }] },
    `0105 9407c3c29199a16f0506010301c2 ${HEAD} 90`,
  ],
  tell: [{ kind: "tell", topic: "ack", body: new Uint8Array([1]) }, "0106 92a361636bc40101"],
  ping: [{ kind: "ping" }, "0107 90"],
  pong: [{ kind: "pong" }, "0108 90"],
  probe: [
    { kind: "probe", serial: 3, accused: { incarnation: 1_764_000_000_000, refutation: 2 } },
    "0109 9303cb4279ab697e80000002",
  ],
  "probe-ack": [{ kind: "probe-ack", serial: 3 }, "010a 9103"],
  "probe-request": [{ kind: "probe-request", serial: 3, target: OWNER }, "010b 9203a16f"],
  "probe-report": [{ kind: "probe-report", serial: 3, isAlive: true }, "010c 9203c3"],
  summary: [{ kind: "summary", round: 7, hash: [2 ** 40 + 1, 3] }, "010d 9307cb427000000000100003"],
};

test.each(Object.entries(GOLDEN))("%s has the bytes it was shipped with", (_kind, [message, hex]) => {
  const bytes = encodeMessage(message);
  expect(Buffer.from(bytes).toString("hex")).toBe(hex.replaceAll(" ", ""));
  expect(decodeMessage(bytes)).toEqual({ ok: true, value: message });
});

test("any bytes decode to a result, never to an exception", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), fc.integer({ min: 0, max: 14 }), (bytes, kind) => {
      expect(decodeMessage(bytes)).toHaveProperty("ok");
      expect(decodeMessage(new Uint8Array([1, kind, ...bytes]))).toHaveProperty("ok");
    }),
    { numRuns: 2_000 },
  );
});

test("a message with some bytes changed or cut is refused, or still within its bounds", () => {
  const messages = Object.values(GOLDEN).map(([message]) => encodeMessage(message));
  fc.assert(
    fc.property(fc.constantFrom(...messages), fc.nat(80), fc.nat(255), fc.nat(80), (whole, at, byte, cut) => {
      const bytes = new Uint8Array(whole).subarray(0, Math.max(1, whole.length - (cut % 20)));
      bytes[at % bytes.length] = byte;
      const decoded = decodeMessage(bytes);
      if (!decoded.ok) return;
      // What passed can be said again.
      expect(decodeMessage(encodeMessage(decoded.value))).toEqual(decoded);
    }),
    { numRuns: 3_000 },
  );
});

test("what the store would assert is refused before", () => {
  const entry = DELTA.entries[0]!;
  const broken: readonly Partial<HostDelta>[] = [
    { entries: [entry, entry] },
    { from: 2, entries: [entry] },
    { to: 1, entries: [entry] },
    { to: 5 },
    { isRepair: true },
    { from: 4 },
    { entries: [{ ...entry, key: "k".repeat(257) }] },
    { entries: [{ ...entry, value: new Uint8Array(64 * 1024 + 1) }] },
    { start: { incarnation: 2 ** 53, startId: 0 } },
    { owner: ownerId("") },
    { head: { ...DELTA.head, counter: 2 } },
    { head: { ...DELTA.head, root: new Uint8Array(31) } },
    { head: { ...DELTA.head, signature: new Uint8Array(0) } },
    { owner: ownerId("o".repeat(65)) },
    { owner: ownerId("é") },
  ];
  for (const part of broken) {
    const bytes = encodeMessage({
      kind: "delta",
      round: 1,
      hasMore: false,
      isLacking: false,
      deltas: [{ ...DELTA, ...part }],
    });
    expect(decodeMessage(bytes), JSON.stringify(part)).toMatchObject({ ok: false });
  }
});

test("a message that refers to itself is refused: it may stand for more than any memory holds", () => {
  const entries = Array.from({ length: 1_000 }, (_, at) => [`${at}`, null, at + 1]);
  const head = [1_000, 1, 5, 6, 0, new Uint8Array(ROOT_BYTES), new Uint8Array(SIGNATURE_BYTES)];
  const delta = ["o", 5, 6, 0, 1_000, 0, false, head, entries];
  const deltas = new Array(200).fill(delta);
  const body = new Packr({ useRecords: false, structuredClone: true }).pack([7, true, false, deltas]);
  expect(body.length).toBeLessThan(20_000);
  const decoded = decodeMessage(new Uint8Array([1, 5, ...body]));
  expect(decoded).toEqual({ ok: false, error: "delta: not msgpack" });
});

test("the largest digest that members can be made to send fits a frame", () => {
  const start = { incarnation: INCARNATION_MAX - 1, startId: 2 ** 48 - 1 };
  const counters = { counter: COUNTER_MAX - 1, compacted: COUNTER_MAX - 1, checksum: 2 ** 53 - 1 };
  const owner = ownerId("~".repeat(64));
  const items = new Array(DIGEST_ITEMS_MAX).fill({ ...ITEM, owner, start, ...counters });
  const digest: Message = { kind: "digest", round: COUNTER_MAX, items };
  expect(decodeMessage(encodeMessage(digest))).toEqual({ ok: true, value: digest });
});

test("another format, an unknown kind and too many bytes are refused with a reason", () => {
  expect(decodeMessage(new Uint8Array([2, 7, 0x90]))).toEqual({
    ok: false,
    error: "message: format 2, we speak 1",
  });
  expect(decodeMessage(new Uint8Array([1, 99, 0x90]))).toEqual({
    ok: false,
    error: "message: unknown kind 99",
  });
  expect(decodeMessage(new Uint8Array([1, 7, 0x91, 1]))).toEqual({
    ok: false,
    error: "ping: bad number of fields",
  });
  expect(decodeMessage(new Uint8Array(2 * 1024 * 1024))).toEqual({
    ok: false,
    error: "message: over its bound",
  });
});

test("a compacted version beyond the signed head is refused: it would be handed on for ever", () => {
  const message: Message = { kind: "gossip", delta: { ...DELTA, compacted: DELTA.head.counter } };
  expect(decodeMessage(encodeMessage(message)).ok).toBe(true);
  const beyond: Message = { kind: "gossip", delta: { ...DELTA, compacted: DELTA.head.counter + 1 } };
  expect(decodeMessage(encodeMessage(beyond))).toEqual({ ok: false, error: "host delta: bad compacted" });
});
