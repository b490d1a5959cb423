// What may come to a gate's listener from whoever reaches it: none of it reaches a VM, and the next request is served as before.

import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { GATE_HAND_IN_BYTES_MAX, GATE_HAND_INS_MAX, GATE_HEAD_BYTES_MAX } from "../../limits.ts";
import { sendRaw } from "../../testing/client.ts";
import { desiredVm, TestCluster, type Upstream } from "../../testing/cluster.ts";
import { TestGate } from "../../testing/gate.ts";

const V1 = "hello-v1-1";
const OTHER = "other-v1-1";

let cluster: TestCluster;
let gate: TestGate;
let vm: Upstream;
let epoch: number;
beforeAll(async () => {
  cluster = new TestCluster();
  gate = new TestGate(cluster);
  vm = await cluster.upstream((request, response) => {
    response.writeProcessing();
    request.resume().once("end", () => response.end("served"));
  });
  await gate.start();
  gate.open();
  gate.place({ [V1]: vm.port, [OTHER]: vm.port });
  epoch = gate.commit({ vms: [desiredVm(V1)] });
  gate.commit({ app: "other", vms: [desiredVm(OTHER)] });
  await gate.until(() => gate.standing()?.epoch === epoch && gate.standing("other") !== undefined);
});
beforeEach(() => {
  vm.seen = 0;
});
afterAll(async () => {
  await gate.close();
  await cluster.close();
});

const word = (text: string): string => `Grapevine-Gate: ${text}\r\n`;
const passing = (): string => word(`1 pass hello ${V1} ${epoch}`);
const get = (headers: string): string =>
  `GET / HTTP/1.1\r\nHost: hello\r\nConnection: close\r\n${headers}\r\n`;
const post = (headers: string, body = ""): string =>
  `POST / HTTP/1.1\r\nHost: hello\r\nConnection: close\r\n${headers}\r\n${body}`;

/** All that is answered; "": the connection was closed without a word. */
async function answerTo(text: string): Promise<string> {
  const answer = await sendRaw(gate.port, text);
  expect(vm.seen, answer).toBe(0);
  expect(await sendRaw(gate.port, get(passing()))).toMatch(/^HTTP\/1\.1 200 .*served/s);
  return answer;
}

type Case = readonly [name: string, text: () => string];

describe("a word to the gate that is none", () => {
  const words: readonly (readonly [...Case, answer: string])[] = [
    ["of an app and another one's VM", () => `1 pass other ${V1} 1`, "1 closed"],
    ["of a VM that it never heard of", () => `1 pass hello hello-v9-1 ${epoch}`, "1 closed"],
    ["of an app that it never heard of", () => "1 pass nobody nobody-v1-1 0", "1 closed"],
    ["of an epoch that is to come", () => `1 pass hello ${V1} 999999999999999`, "1 behind"],
    ["of an epoch beyond all", () => `1 pass hello ${V1} 9999999999999999`, "1 failed"],
    ["of an epoch below all", () => `1 pass hello ${V1} -1`, "1 failed"],
    ["of an epoch in other digits", () => `1 pass hello ${V1} 0x1`, "1 failed"],
    ["with a word more", () => `1 pass hello ${V1} ${epoch} 1`, "1 failed"],
    ["with a name that is none", () => `1 pass ../hello ${V1} ${epoch}`, "1 failed"],
    ["with the gate's own word", () => "1 done", "1 failed"],
    [
      "said twice",
      () => `1 pass hello ${V1} ${epoch}\r\nGrapevine-Gate: 1 pass hello ${V1} ${epoch}`,
      "1 failed",
    ],
  ];
  test.each(words)("%s is refused", async (_name, text, answer) => {
    expect(await answerTo(get(word(text())))).toMatch(
      new RegExp(`^HTTP/1\\.1 421 .*grapevine-gate: ${answer}\r\n`, "is"),
    );
  });
});

describe("a request of which two may see two", () => {
  const requests: readonly Case[] = [
    [
      "a length and chunks",
      () => post(`${passing()}Content-Length: 5\r\nTransfer-Encoding: chunked\r\n`, "0\r\n\r\n"),
    ],
    ["two lengths", () => post(`${passing()}Content-Length: 5\r\nContent-Length: 6\r\n`, "hello")],
    ["a coding beside chunked", () => post(`${passing()}Transfer-Encoding: gzip, chunked\r\n`, "0\r\n\r\n")],
    [
      "chunked that is not last",
      () => post(`${passing()}Transfer-Encoding: chunked, identity\r\n`, "0\r\n\r\n"),
    ],
    [
      "chunks in HTTP/1.0",
      () => post(`${passing()}Transfer-Encoding: chunked\r\n`, "0\r\n\r\n").replace("1.1", "1.0"),
    ],
    ["a header over two lines", () => post(`${passing()}X-One: a\r\n b\r\n`)],
    ["a header without a name", () => post(`${passing()}: a\r\n`)],
    ["a bare line feed", () => post(`${passing()}X-One: a\nX-Two: b\r\n`)],
    [
      "an upgrade with a coding",
      () => get(`${passing()}Upgrade: x\r\nTransfer-Encoding: gzip, chunked\r\n`).replace("close", "upgrade"),
    ],
  ];
  test.each(requests)("(%s) reaches no VM", async (_name, text) => {
    expect(await answerTo(text())).toMatch(/^$|^HTTP\/1\.1 (400|421) /);
  });
});

describe("bytes that are no request", () => {
  const texts: readonly Case[] = [
    ["a TLS hello", () => "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"],
    ["HTTP/2's first words", () => "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"],
    ["zeros", () => "\0".repeat(100_000)],
    ["a head beyond its bound", () => get(`${passing()}X-Large: ${"x".repeat(GATE_HEAD_BYTES_MAX)}\r\n`)],
    ["headers without number", () => get(passing() + "X-One: a\r\n".repeat(GATE_HEAD_BYTES_MAX / 8))],
  ];
  test.each(texts)("(%s) end their connection", async (_name, text) => {
    expect(await answerTo(text())).toMatch(/^$|^HTTP\/1\.1 4/);
  });

  test("a head that is left in the middle leaves nothing behind", async () => {
    const socket = connect(gate.port, "127.0.0.1");
    socket.write(get(passing()).slice(0, -2));
    await once(socket, "connect");
    socket.destroy();
    await once(socket, "close");
    expect(vm.seen).toBe(0);
    expect(gate.describe()).toContain(`${V1} (0)`);
  });
});

test("a record that is handed in without end is not read to its end", async () => {
  const asked = `${word("1 take hello hello 0")}Content-Length: ${2 * GATE_HAND_IN_BYTES_MAX}\r\n`;
  const socket: Socket = connect(gate.port, "127.0.0.1");
  // Who is told "close" is closed, with what it still sends unread.
  socket.write(post(asked).replace("Connection: close\r\n", ""));
  const piece = Buffer.alloc(64 * 1024);
  const send = (): void => {
    while (socket.writable && socket.write(piece));
  };
  socket.on("drain", send).on("error", () => undefined);
  send();
  const [answer] = (await once(socket, "data")) as [Buffer];
  expect(answer.toString()).toMatch(/^HTTP\/1\.1 421 .*grapevine-gate: 1 failed.*too long/is);
  socket.destroy();
});

test("of records that are handed in slowly no more are kept than a bound, and requests are served meanwhile", async () => {
  const begun = post(`${word("1 take hello hello 0")}Content-Length: 2\r\n`, "x");
  const slow = Array.from({ length: GATE_HAND_INS_MAX + 1 }, () => connect(gate.port, "127.0.0.1"));
  for (const socket of slow) socket.on("error", () => undefined).write(begun);
  const [answer] = (await Promise.race(slow.map((socket) => once(socket, "data")))) as [Buffer];
  expect(answer.toString()).toMatch(/^HTTP\/1\.1 421 .*grapevine-gate: 1 failed.*too many/is);
  expect(await sendRaw(gate.port, get(passing()))).toMatch(/^HTTP\/1\.1 200 .*served/s);
  for (const socket of slow) socket.destroy();
});

test("an app cannot say that the gate claimed a request: its interim answers end at the gate", async () => {
  const body = "x".repeat(10);
  const answer = await sendRaw(gate.port, post(`${passing()}Content-Length: ${body.length}\r\n`, body));
  expect(answer).toMatch(/^HTTP\/1\.1 200 /);
  expect(vm.seen).toBe(1);
});
