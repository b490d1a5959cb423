// A proxy on the gate's own host: it sends requests to VMs itself, and the gate confirms nothing that it has not answered.

import { randomBytes } from "node:crypto";
import { once } from "node:events";
import type { ServerResponse } from "node:http";
import { connect, createServer, type Server } from "node:net";
import path from "node:path";
import { setImmediate as turn } from "node:timers/promises";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { decodeRecord, encodeRecord, LocalLink, memberName, vmName } from "../../mesh/index.ts";
import { STAND_IN_CLUSTER } from "../../mesh/sim/stand-in-voter.ts";
import { type FromArm, markOf, type ToArm, toArmShape } from "../core/arm-messages.ts";
import { PROXY_TIMING, type ProxyOptions } from "../proxy.ts";
import { type Answer, ask } from "../testing/client.ts";
import {
  answering,
  desiredVm,
  freePort,
  TestCluster,
  type TestProxy,
  type Upstream,
} from "../testing/cluster.ts";
import { TestGate } from "../testing/gate.ts";
import { networkOf } from "./network.ts";

const V1 = "hello-v1-1";
const V2 = "hello-v2-1";

let cluster: TestCluster;
let gate: TestGate;
beforeEach(() => {
  cluster = new TestCluster();
  gate = new TestGate(cluster);
});
afterEach(async () => {
  await cluster.close();
  await gate.close();
});

/** A proxy of the gate's host that serves "hello" by one VM, and may send requests there itself. */
async function serve(port: number, options: Partial<ProxyOptions> = {}): Promise<TestProxy> {
  gate.announce(await gate.start());
  gate.place({ [V1]: port });
  const proxy = await cluster.proxy({
    gate: { cluster: STAND_IN_CLUSTER, socket: gate.armSocket },
    ...options,
  });
  cluster.writeVm(V1, port);
  const epoch = gate.commit({ vms: [desiredVm(V1)] });
  gate.open();
  await cluster.waitForAck(({ verified }) => verified === epoch);
  await untilArmed(proxy, 1);
  return proxy;
}

async function metricOf({ admin }: TestProxy, name: string): Promise<number> {
  const text = await (await fetch(`${admin}/metrics`)).text();
  return Number(new RegExp(`^${name} (\\d+)$`, "m").exec(text)?.[1]);
}

async function untilArmed(proxy: TestProxy, vms: number): Promise<void> {
  while ((await metricOf(proxy, "grapevine_proxy_armed_vms")) !== vms) await turn();
}

/** A VM whose answers wait until they are let go. */
async function slowVm(): Promise<{ vm: Upstream; began: Promise<void>; finish: () => void }> {
  const responses: ServerResponse[] = [];
  const { promise: began, resolve } = Promise.withResolvers<void>();
  const vm = await cluster.upstream((_request, response) => {
    responses.push(response);
    resolve();
  });
  const finish = () => {
    for (const response of responses) response.end("done");
  };
  return { vm, began, finish };
}

function requestsOf(answer: Answer): unknown {
  return { status: answer.status, body: answer.body };
}

describe("a proxy on the host of the gate", () => {
  test("sends requests to VMs itself, with their bodies, and the gate sees none of them", async () => {
    const vm = await cluster.upstream((request, response) => void request.pipe(response));
    const proxy = await serve(vm.port);
    const answer = await ask({ port: proxy.port, method: "POST", body: "hello" });
    expect(requestsOf(answer)).toEqual({ status: 200, body: "hello" });
    expect(await metricOf(proxy, "grapevine_proxy_armed_tries_total")).toBe(1);
    expect(gate.describe()).toContain("arm proxy-1 linked");
    expect(vm.seen).toBe(1);
  });

  test("takes nothing new to a VM from the grant on that closes it, and what runs there counts until it is over", async () => {
    const { vm, began, finish } = await slowVm();
    const proxy = await serve(vm.port);
    const running = ask({ port: proxy.port });
    await began;
    const other = await cluster.upstream(answering("two"));
    gate.place({ [V1]: vm.port, [V2]: other.port });
    cluster.writeVm(V2, other.port);
    const epoch = gate.commit({ vms: [desiredVm(V1, "cordoned"), desiredVm(V2)] });
    const busy = await gate.waitForStanding((standing) => standing.epoch === epoch);
    expect(busy.inFlight).toEqual([{ vm: V1, requests: 1 }]);
    expect((await ask({ port: proxy.port })).body).toBe("two");
    finish();
    expect((await running).body).toBe("done");
    await gate.waitForStanding((standing) => standing.epoch === epoch && standing.inFlight.length === 0);
    expect(vm.seen).toBe(1);
  });

  test("hears of a record by its gate alone, and keeps no idle connection to the VM that it closed", async () => {
    const vm = await cluster.upstream((_request, response) => {
      response.setHeader("keep-alive", "timeout=20");
      response.end("one");
    });
    const proxy = await serve(vm.port);
    await ask({ port: proxy.port });
    const [idle] = [...vm.connections];
    const gone = once(idle as NonNullable<typeof idle>, "close");
    const closing = { vms: [desiredVm(V1, "cordoned")] };
    const epoch = cluster.commitUntold(closing);
    gate.tellRecord(epoch, closing);
    await gone;
    await gate.waitForStanding((standing) => standing.epoch === epoch);
    expect((await ask({ port: proxy.port })).status).toBe(503);
    expect(vm.seen).toBe(1);
  });

  test("keeps its connections to a VM when the table changes for another app", async () => {
    const vm = await cluster.upstream((_request, response) => {
      response.setHeader("keep-alive", "timeout=20");
      response.end("one");
    });
    const proxy = await serve(vm.port);
    await ask({ port: proxy.port });
    const [first] = [...vm.connections];
    const epoch = cluster.commit({ app: "other", vms: [] });
    await cluster.waitForAck(({ applied }) => applied === epoch, "other");
    await ask({ port: proxy.port });
    expect([...vm.connections]).toEqual([first]);
  });

  test("goes through the gate when that is started anew, and then past it again, without a failed request", async () => {
    const vm = await cluster.upstream(answering("one"));
    const proxy = await serve(vm.port);
    const { port } = gate;
    await gate.stop();
    await untilArmed(proxy, 0);
    const asked = ask({ port: proxy.port });
    await gate.start(port);
    expect((await asked).body).toBe("one");
    await untilArmed(proxy, 1);
    expect((await ask({ port: proxy.port })).body).toBe("one");
    expect(vm.seen).toBe(2);
  });

  test("tells a gate that was started anew what still runs by the rights of before", async () => {
    const { vm, began, finish } = await slowVm();
    const proxy = await serve(vm.port);
    const running = ask({ port: proxy.port });
    await began;
    const { port } = gate;
    await gate.stop();
    await untilArmed(proxy, 0);
    await gate.start(port);
    const epoch = gate.commit({ vms: [desiredVm(V1, "cordoned")] });
    const busy = await gate.waitForStanding((standing) => standing.epoch === epoch);
    expect(busy.inFlight).toEqual([{ vm: V1, requests: 1 }]);
    finish();
    expect((await running).body).toBe("done");
    await gate.waitForStanding((standing) => standing.epoch === epoch && standing.inFlight.length === 0);
  });

  test("without a gate at that socket goes through the gate as any other", async () => {
    const vm = await cluster.upstream(answering("one"));
    gate.announce(await gate.start());
    gate.place({ [V1]: vm.port });
    const socket = path.join(path.dirname(gate.armSocket), "none.sock");
    const proxy = await cluster.proxy({ gate: { cluster: STAND_IN_CLUSTER, socket } });
    cluster.writeVm(V1, vm.port);
    const epoch = gate.commit({ vms: [desiredVm(V1)] });
    gate.open();
    await cluster.waitForAck(({ verified }) => verified === epoch);
    expect((await ask({ port: proxy.port })).body).toBe("one");
    expect(await metricOf(proxy, "grapevine_proxy_armed_tries_total")).toBe(0);
  });
});

/** An arm that answers when it is told to: as one whose process is stopped, or slow, or dies. */
class SlowArm {
  readonly heard: ToArm[] = [];
  readonly mark = markOf(memberName("proxy-9"), randomBytes(4).toString("hex"));
  readonly #process: Server = createServer((socket) => socket.resume());
  #sockets = new Set<{ destroy(): void }>();
  #link: LocalLink | null = null;
  #wake = () => {};

  async live(): Promise<void> {
    this.#process.on("connection", (socket) => this.#sockets.add(socket));
    const file = path.join(path.dirname(gate.armSocket), this.mark);
    await once(this.#process.listen(file), "listening");
  }

  /** Resolves when the gate took it for an arm, or the link ended. */
  async attach(over: Partial<Extract<FromArm, { kind: "hello" }>> = {}): Promise<string | null> {
    const ended = Promise.withResolvers<string>();
    const onMessage = (bytes: Uint8Array) => {
      const message = decodeRecord(toArmShape, bytes);
      if (!message.ok) throw new Error(message.error);
      this.heard.push(message.value);
      this.#wake();
    };
    this.#link = new LocalLink(connect(gate.armSocket), { onMessage, onEnd: ended.resolve });
    const hello = { cluster: STAND_IN_CLUSTER, proxy: memberName("proxy-9"), mark: this.mark };
    this.say({ format: 1, kind: "hello", ...hello, network: networkOf(), inFlight: [], ...over });
    return Promise.race([ended.promise, this.granted(1).then(() => null)]);
  }

  say(message: FromArm): void {
    this.#link?.send(encodeRecord(message));
  }

  answer(epoch: number, requests = 0): void {
    const inFlight = requests === 0 ? [] : [{ vm: vmName(V1), requests }];
    this.say({ format: 1, kind: "standing", app: appOf(), epoch, inFlight });
  }

  /** The first grant of at least that epoch. */
  async granted(epoch: number): Promise<Extract<ToArm, { kind: "grant" }>> {
    for (;;) {
      for (const message of this.heard)
        if (message.kind === "grant" && message.epoch >= epoch) return message;
      await new Promise<void>((wake) => (this.#wake = wake));
    }
  }

  loseLink(): void {
    this.#link?.close("lost");
  }

  /** As the kernel does for a process that ends. */
  die(): void {
    this.#link?.close("died");
    this.#process.close();
    for (const socket of this.#sockets) socket.destroy();
  }
}

function appOf(): Extract<FromArm, { kind: "standing" }>["app"] {
  return "hello" as ReturnType<typeof appOf>;
}

describe("a gate with an arm that does not answer", () => {
  let arm: SlowArm;
  beforeEach(() => {
    arm = new SlowArm();
  });
  afterEach(() => arm.die());

  /** Granted the one VM by the first record. */
  async function armed(): Promise<number> {
    await gate.start();
    gate.place({ [V1]: (await cluster.upstream(answering("one"))).port });
    const epoch = gate.commit({ vms: [desiredVm(V1)] });
    gate.open();
    await gate.waitForStanding((standing) => standing.epoch === epoch);
    await arm.live();
    expect(await arm.attach()).toBeNull();
    const { places } = await arm.granted(epoch);
    expect(places.map(({ vm }) => vm)).toEqual([V1]);
    arm.answer(epoch);
    return epoch;
  }

  /** What closes is on its disk, and it says that it confirms no more than `epoch`, and for whom it waits. */
  async function confirmsOnly(epoch: number): Promise<void> {
    const standing = await gate.waitForStanding(({ awaits }) => awaits !== undefined);
    expect(standing).toMatchObject({ epoch, awaits: ["proxy-9"] });
  }

  test("confirms no closing, and does when it answers, with what runs there", async () => {
    const epoch = await armed();
    const closed = gate.commit({ vms: [desiredVm(V1, "cordoned")] });
    expect((await arm.granted(closed)).places).toEqual([]);
    await confirmsOnly(epoch);
    arm.answer(closed, 2);
    const busy = await gate.waitForStanding((standing) => standing.epoch === closed);
    expect(busy.inFlight).toEqual([{ vm: V1, requests: 2 }]);
    arm.answer(closed);
    await gate.waitForStanding((standing) => standing.epoch === closed && standing.inFlight.length === 0);
  });

  test("confirms none when its link ends, until its process is gone", async () => {
    const epoch = await armed();
    arm.loseLink();
    const closed = gate.commit({ vms: [desiredVm(V1, "cordoned")] });
    await confirmsOnly(epoch);
    arm.die();
    const standing = await gate.waitForStanding((one) => one.epoch === closed);
    expect(standing.inFlight).toEqual([]);
  });

  test("confirms nothing after a restart, until it attaches anew and says what runs", async () => {
    await armed();
    await gate.stop();
    gate.heard.length = 0;
    await gate.start();
    const closed = gate.commit({ vms: [desiredVm(V1, "cordoned")] });
    await confirmsOnly(0);
    const inFlight = [{ app: appOf(), vm: vmName(V1), requests: 1 }];
    void arm.attach({ inFlight });
    const busy = await gate.waitForStanding((standing) => standing.epoch === closed);
    expect(busy.inFlight).toEqual([{ vm: V1, requests: 1 }]);
  });

  test("confirms nothing after a restart that lost its disk and its folder, until that process is gone", async () => {
    const epoch = await armed();
    await gate.stop();
    gate.forget();
    gate.forgetMarks();
    gate.heard.length = 0;
    await gate.start();
    const closed = gate.commit({ vms: [desiredVm(V1, "cordoned")] });
    gate.open();
    await confirmsOnly(0);
    expect(closed).toBe(epoch + 1);
    arm.die();
    await gate.waitForStanding((standing) => standing.epoch === closed);
  });

  test("turns away who cannot show its mark, or whose network is another one", async () => {
    await armed();
    const stranger = new SlowArm();
    expect(await stranger.attach()).toContain("closed");
    await stranger.live();
    expect(await stranger.attach({ network: "net:[1]" })).toContain("closed");
    stranger.die();
  });
});

test("a VM that cannot be dialled fails its requests as through the gate: the gate is not waited for", async () => {
  const timing = { ...PROXY_TIMING, retryTimeMs: 50 };
  const vm = await cluster.upstream(answering("one"));
  const { port } = await serve(vm.port, { timing });
  gate.place({ [V1]: await freePort() });
  const answer = await ask({ port });
  expect(answer.status).toBe(502);
});
