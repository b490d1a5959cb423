import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { Agent, request as httpRequest, type IncomingMessage, type ServerResponse } from "node:http";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import path from "node:path";
import { setImmediate as turn } from "node:timers/promises";
import { pino } from "pino";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { decodeCommittedApp, encodeRecord, type GateStanding } from "../mesh/index.ts";
import { smallDisk } from "../mesh/sim/small-disk.ts";
import { type Answer, type Ask, ask } from "./testing/client.ts";
import { answering, appRecord, desiredVm, freePort, TestCluster } from "./testing/cluster.ts";
import { TestGate } from "./testing/gate.ts";

const V1 = "hello-v1-1";
const V2 = "hello-v2-1";

let cluster: TestCluster;
let gate: TestGate;
beforeEach(() => {
  cluster = new TestCluster();
  gate = new TestGate(cluster);
});
afterEach(async () => {
  await gate.close();
  await cluster.close();
});

interface GateAsk extends Omit<Ask, "port"> {
  readonly epoch: number;
  readonly errand?: string;
  readonly vm?: string;
}

function askGate({ epoch, errand = "pass", vm = V1, headers, ...options }: GateAsk): Promise<Answer> {
  const named = { ...headers, "grapevine-gate": `1 ${errand} hello ${vm} ${epoch}` };
  return ask({ port: gate.port, headers: named, ...options });
}

/** What the gate itself says of that request; undefined: an app answered. */
async function verdict(options: GateAsk): Promise<string | undefined> {
  return (await askGate(options)).headers["grapevine-gate"] as string | undefined;
}

/** An open gate that sends requests to one VM; returns the epoch. */
async function serve(port: number): Promise<number> {
  await gate.start();
  gate.place({ [V1]: port });
  const epoch = gate.commit({ vms: [desiredVm(V1)] });
  gate.open();
  await gate.waitForStanding((standing) => standing.epoch === epoch);
  return epoch;
}

describe("a request through the gate", () => {
  test("reaches the VM that it names, with its path, headers and body, and not with what proxies tell gates", async () => {
    const seen: IncomingMessage[] = [];
    const vm = await cluster.upstream((request, response) => {
      seen.push(request);
      response.setHeader("x-from", "vm");
      request.pipe(response);
    });
    const epoch = await serve(vm.port);
    const answer = await askGate({
      epoch,
      method: "POST",
      path: "/a?b",
      body: "hello",
      headers: { "x-to": "vm" },
    });
    expect(answer).toMatchObject({ status: 200, body: "hello", headers: { "x-from": "vm" } });
    expect(seen[0]?.url).toBe("/a?b");
    expect(seen[0]?.headers).toMatchObject({ "x-to": "vm", host: "hello.localhost" });
    expect(seen[0]?.headers).not.toHaveProperty("grapevine-gate");
  });

  test("is answered as its app answers: an app cannot speak for the gate", async () => {
    const vm = await cluster.upstream((_request, response) => {
      response.writeHead(421, { "Grapevine-Gate": "1 closed" });
      response.end("mine");
    });
    const answer = await askGate({ epoch: await serve(vm.port) });
    expect(answer).toMatchObject({ status: 421, body: "mine" });
    expect(answer.headers).not.toHaveProperty("grapevine-gate");
  });

  test("that names none, or in another format, is refused", async () => {
    const epoch = await serve((await cluster.upstream(answering("one"))).port);
    expect((await ask({ port: gate.port })).headers["grapevine-gate"]).toBe("1 failed");
    const other = { "grapevine-gate": `2 pass hello ${V1} ${epoch}` };
    expect((await ask({ port: gate.port, headers: other })).body).toContain("format 2");
    expect(await verdict({ epoch, errand: "unheard-of" })).toBe("1 failed");
  });

  test("whose VM cannot be dialled is told so, as one of which nothing was sent", async () => {
    const epoch = await serve(await freePort());
    const { headers, body } = await askGate({ epoch });
    expect(headers["grapevine-gate"]).toBe("1 unreachable");
    expect(body).toContain("ECONNREFUSED");
  });

  test("whose VM breaks the connection is told as lost: it may have run", async () => {
    const vm = await cluster.upstream((request) => request.socket.destroy());
    expect(await verdict({ epoch: await serve(vm.port), method: "POST", body: "x" })).toBe("1 lost");
  });

  test("is claimed by a 102 before the rest of its body is sent, once its VM can be reached", async () => {
    const vm = await cluster.upstream((request, response) => void request.pipe(response));
    const epoch = await serve(vm.port);
    const header = { "grapevine-gate": `1 claim hello ${V1} ${epoch}`, host: "hello.localhost" };
    const request = httpRequest({ port: gate.port, method: "POST", headers: header });
    request.write("first ");
    const [{ statusCode }] = await once(request, "information");
    expect(statusCode).toBe(102);
    request.end("second");
    const [response] = (await once(request, "response")) as [IncomingMessage];
    expect((await response.toArray()).join("")).toBe("first second");
  });

  test("upgrades, and the pipe is in flight until it ends", async () => {
    const vm = await cluster.upstream(() => undefined);
    vm.server.on("upgrade", (_request, socket) => {
      socket.write("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n");
      socket.pipe(socket);
    });
    const epoch = await serve(vm.port);
    const socket = connect(gate.port, "127.0.0.1");
    const head = `GET / HTTP/1.1\r\nHost: hello.localhost\r\nGrapevine-Gate: 1 pass hello ${V1} ${epoch}\r\n`;
    socket.write(`${head}Connection: Upgrade\r\nUpgrade: websocket\r\n\r\nping`);
    let text = "";
    while (!text.endsWith("ping")) text += String((await once(socket, "data"))[0]);
    expect(text).toMatch(/^HTTP\/1\.1 101 /);
    const closed = gate.commit({ vms: [desiredVm(V1, "cordoned")] });
    await gate.waitForStanding((standing) => standing.epoch === closed && standing.inFlight.length === 1);
    socket.destroy();
    await gate.waitForStanding((standing) => standing.epoch === closed && standing.inFlight.length === 0);
  });
});

describe("a refusal", () => {
  test("of a request that goes by an older record carries the newer one, as the voters signed it", async () => {
    const vm = await cluster.upstream(answering("one"));
    await serve(vm.port);
    const epoch = gate.commit({ vms: [desiredVm(V1), desiredVm(V2)] });
    await gate.waitForStanding((standing) => standing.epoch === epoch);
    const { promise, resolve } = Promise.withResolvers<Buffer>();
    const header = { "grapevine-gate": `1 pass hello ${V1} ${epoch - 1}` };
    httpRequest({ port: gate.port, headers: header }, async (response) => {
      expect(response.headers["grapevine-gate"]).toBe("1 ahead");
      resolve(Buffer.concat(await response.toArray()));
    }).end();
    expect(decodeCommittedApp(await promise)).toMatchObject({ ok: true, value: { epoch } });
    expect(vm.seen).toBe(0);
  });

  test("of one that goes by a newer record ends once that record was handed in, whoever hands it in", async () => {
    const vm = await cluster.upstream(answering("one"));
    const epoch = await serve(vm.port);
    expect(await verdict({ epoch: epoch + 1 })).toBe("1 behind");
    const record = cluster.voter.certified(epoch + 1, appRecord({ vms: [desiredVm(V1)] }));
    const handIn = Buffer.from(encodeRecord({ format: 1, key: "app/hello", record, links: [] }));
    expect(await verdict({ epoch: 0, errand: "take", method: "POST", body: handIn })).toBe("1 done");
    expect((await askGate({ epoch: epoch + 1 })).body).toBe("one");
    await gate.until(() => gate.heard.some(({ kind }) => kind === "record"));
  });

  test("of a record that the voters did not sign changes nothing", async () => {
    const epoch = await serve((await cluster.upstream(answering("one"))).port);
    const stranger = new TestCluster();
    const record = stranger.voter.certified(epoch + 1, appRecord({ vms: [] }));
    await stranger.close();
    record[record.length - 1] = (record.at(-1) ?? 0) ^ 1;
    const handIn = Buffer.from(encodeRecord({ format: 1, key: "app/hello", record, links: [] }));
    expect(await verdict({ epoch: 0, errand: "take", method: "POST", body: handIn })).toBe("1 failed");
    expect((await askGate({ epoch })).body).toBe("one");
  });

  test("of a large body loses no word of what it says", async () => {
    const epoch = await serve((await cluster.upstream(answering("one"))).port);
    const body = Buffer.alloc(1024 * 1024);
    expect(await verdict({ epoch: epoch - 1, method: "POST", body })).toBe("1 ahead");
  });

  test("of large bodies, one after the other, leaves nothing behind in their connection", async () => {
    const epoch = await serve((await cluster.upstream(answering("one"))).port);
    const warnings: string[] = [];
    const heard = (warning: Error): void => void warnings.push(warning.name);
    process.on("warning", heard);
    const agent = new Agent({ keepAlive: true, maxSockets: 1 });
    const body = Buffer.alloc(1024 * 1024);
    // Above the listeners of one kind that node takes for a leak.
    for (let index = 0; index < 20; index += 1)
      expect(await verdict({ epoch: epoch - 1, method: "POST", body, agent })).toBe("1 ahead");
    agent.destroy();
    process.off("warning", heard);
    expect(warnings).toEqual([]);
  });
});

describe("a VM that was closed", () => {
  test("gets nothing new from the breath on in which the record came, and finishes what runs", async () => {
    const responses: ServerResponse[] = [];
    const { promise: began, resolve } = Promise.withResolvers<void>();
    const vm = await cluster.upstream((_request, response) => {
      responses.push(response);
      resolve();
    });
    const epoch = await serve(vm.port);
    const running = askGate({ epoch });
    await began;
    const closed = gate.commit({ vms: [desiredVm(V1, "cordoned")] });
    const busy = await gate.waitForStanding((standing) => standing.epoch === closed);
    expect(busy.inFlight).toEqual([{ vm: V1, requests: 1 }]);
    expect(await verdict({ epoch })).toBe("1 ahead");
    expect(await verdict({ epoch: closed })).toBe("1 closed");
    for (const response of responses) response.end("done");
    expect((await running).body).toBe("done");
    await gate.waitForStanding((standing) => standing.inFlight.length === 0);
    expect(vm.seen).toBe(1);
  });

  test("finds no idle connection of the gate once it drained", async () => {
    const vm = await cluster.upstream((_request, response) => {
      response.setHeader("keep-alive", "timeout=20");
      response.end("one");
    });
    await askGate({ epoch: await serve(vm.port) });
    const [idle] = [...vm.connections];
    expect(vm.connections.size).toBe(1);
    const gone = once(idle as NonNullable<typeof idle>, "close");
    gate.commit({ vms: [desiredVm(V1, "cordoned")] });
    await gone;
  });

  test("stays closed over a restart without its agent, and what was open stays open", async () => {
    const vm = await cluster.upstream(answering("two"));
    await serve((await cluster.upstream(answering("one"))).port);
    gate.place({ [V1]: await freePort(), [V2]: vm.port });
    const epoch = gate.commit({ vms: [desiredVm(V1, "cordoned"), desiredVm(V2)] });
    await gate.waitForStanding((standing) => standing.epoch === epoch);
    await gate.stop();
    gate.heard.length = 0;
    await gate.start();
    await gate.loseAgent();
    expect(await verdict({ epoch: epoch - 1 })).toBe("1 ahead");
    expect(await verdict({ epoch })).toBe("1 closed");
    expect((await askGate({ epoch, vm: V2 })).body).toBe("two");
  });

  test("stays closed when the disk is lost, until a majority was read, whatever a proxy hands in", async () => {
    const epoch = await serve((await cluster.upstream(answering("one"))).port);
    const old = cluster.voter.certified(epoch, appRecord({ vms: [desiredVm(V1)] }));
    const closed = gate.commit({ vms: [desiredVm(V1, "cordoned")] });
    await gate.waitForStanding((standing) => standing.epoch === closed);
    await gate.stop();
    gate.forget();
    await gate.start();
    const handIn = Buffer.from(encodeRecord({ format: 1, key: "app/hello", record: old, links: [] }));
    expect(await verdict({ epoch: 0, errand: "take", method: "POST", body: handIn })).toBe("1 done");
    expect(await verdict({ epoch })).toBe("1 shut");
  });
});

/** Closes V1 again and again, until its disk fails: what room it still finds for a few of them is the file system's to say. */
async function commitUntilOwed(): Promise<[epoch: number, GateStanding]> {
  for (;;) {
    const epoch = gate.commit({ vms: [desiredVm(V1, "cordoned")] });
    const standing = await gate.waitForStanding((one) => one.epoch === epoch || one.fault !== undefined);
    if (standing.fault !== undefined) return [epoch, standing];
  }
}

test("a gate that knows nothing opens once it could take each record that a majority had, also one that it could not at first", async () => {
  await gate.start();
  gate.place({ [V1]: (await cluster.upstream(answering("one"))).port });
  const vms = [desiredVm(V1)];
  const epoch = cluster.commit({ vms });
  gate.tell({ format: 1, kind: "record", key: "app/hello", value: new Uint8Array([1]) });
  gate.open();
  gate.tellRecord(cluster.commit({ app: "other", vms: [] }), { app: "other", vms: [] });
  while (!gate.describe().includes("other@")) await turn();
  expect(await verdict({ epoch })).toBe("1 shut");
  gate.tellRecord(epoch, { vms });
  await gate.waitForStanding((standing) => standing.epoch === epoch);
  expect((await askGate({ epoch })).body).toBe("one");
});

describe("a gate whose disk fails while it runs", () => {
  const faults = [
    { fault: "full", reason: /full/ },
    { fault: "failing", reason: /I\/O error/ },
  ] as const;

  test.for(faults)(
    "($fault) closes, confirms nothing, says why, and confirms once it can",
    async (one, { skip, onTestFailed }) => {
      const folder = mkdtempSync(path.join(tmpdir(), "grapevine-disk-"));
      const disk = smallDisk(folder, one.fault);
      if (disk === null) return skip("only root may mount a small disk");
      const lines: { level: number; reason?: string }[] = [];
      const logger = pino({ level: "info" }, { write: (line: string) => lines.push(JSON.parse(line)) });
      await gate.close();
      gate = new TestGate(cluster, { stateDir: disk.folder, logger });
      onTestFailed(() => void process.stderr.write(`${gate.describe()}\n${JSON.stringify(lines)}\n`));
      try {
        await serve((await cluster.upstream(answering("one"))).port);
        disk.fail();
        const [closed, owed] = await commitUntilOwed();
        expect(owed.epoch).toBe(closed - 1);
        expect(owed.fault).toMatch(one.reason);
        expect(await verdict({ epoch: closed })).toBe("1 closed");
        await gate.until(() => gate.counter("disk-failing") === 1);
        disk.heal();
        expect(await gate.waitForStanding((standing) => standing.epoch === closed)).not.toHaveProperty(
          "fault",
        );
        const told = lines.filter(({ level, reason }) => level === 50 || reason !== undefined);
        expect(told).toMatchObject([{ level: 50, reason: expect.stringMatching(one.reason) }]);
        await gate.stop();
        disk.remount();
        await gate.start();
        expect(await verdict({ epoch: closed })).toBe("1 closed");
      } finally {
        await gate.stop();
        disk.remove();
        rmSync(folder, { recursive: true });
      }
    },
  );
});

test("a gate that stops refuses what comes and finishes what runs", async () => {
  const responses: ServerResponse[] = [];
  const { promise: began, resolve } = Promise.withResolvers<void>();
  const vm = await cluster.upstream((_request, response) => {
    responses.push(response);
    resolve();
  });
  const running = askGate({ epoch: await serve(vm.port) });
  await began;
  const stopped = gate.stop();
  for (const response of responses) response.end("done");
  expect((await running).body).toBe("done");
  await stopped;
});
