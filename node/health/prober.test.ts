import { once } from "node:events";
import { createServer, type IncomingMessage, type RequestListener, type Server } from "node:http";
import { type AddressInfo, createServer as createTcpServer, type Server as TcpServer } from "node:net";
import { afterEach, describe, expect, it } from "vitest";
import type { Check } from "../../mesh/index.ts";
import type { HealthChanged } from "./check-machine.ts";
import { probe } from "./probe.ts";
import { runChecks } from "./prober.ts";

const never = new AbortController().signal;
const http: Check = { type: "http", path: "/healthz", intervalMs: 20, timeoutMs: 60_000, gracePeriodMs: 0 };
const tcp: Check = { ...http, type: "tcp" };
const servers: (Server | TcpServer)[] = [];

afterEach(async () => {
  for (const server of servers.splice(0)) {
    if ("closeAllConnections" in server) server.closeAllConnections();
    await new Promise((closed) => server.close(closed));
  }
});

async function listen(server: Server | TcpServer): Promise<{ host: string; port: number }> {
  servers.push(server);
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return { host: "127.0.0.1", port: (server.address() as AddressInfo).port };
}
const serve = (listener: RequestListener) => listen(createServer(listener));

async function unusedPort(): Promise<{ host: string; port: number }> {
  const server = createTcpServer();
  const address = await listen(server);
  servers.splice(servers.indexOf(server), 1);
  server.close();
  await once(server, "close");
  return address;
}

describe("probe()", () => {
  it("GETs the path on a connection of its own, with the address as Host", async () => {
    let seen: IncomingMessage | undefined;
    const address = await serve((request, response) => {
      seen = request;
      response.end("ok");
    });
    expect(await probe(http, address, never)).toEqual({ passed: true });
    expect(seen).toMatchObject({ method: "GET", url: "/healthz" });
    expect(seen?.headers).toMatchObject({ host: `127.0.0.1:${address.port}`, connection: "close" });
  });

  it.each([200, 204, 302, 399])("passes at status %i", async (status) => {
    const address = await serve((_request, response) => response.writeHead(status).end());
    expect(await probe(http, address, never)).toEqual({ passed: true });
  });

  it.each([400, 404, 500, 503])("fails at status %i", async (status) => {
    const address = await serve((_request, response) => response.writeHead(status).end());
    expect(await probe(http, address, never)).toEqual({ passed: false, reason: `status ${status}` });
  });

  it("reads a bounded part of an answer without end", async () => {
    const address = await serve((_request, response) => {
      const pour = () => {
        while (!response.destroyed && response.write("x".repeat(16_384)));
        response.once("drain", pour);
      };
      pour();
    });
    expect(await probe(http, address, never)).toEqual({ passed: true });
  });

  it("fails when there is no answer in time, over http and in a body that does not end", async () => {
    const silent = await serve(() => undefined);
    expect(await probe({ ...http, timeoutMs: 30 }, silent, never)).toEqual({
      passed: false,
      reason: "no answer within 30 ms",
    });
    const begun = await serve((_request, response) => response.write("begun"));
    expect(await probe({ ...http, timeoutMs: 30_000 }, begun, never)).toEqual({ passed: true });
  });

  it("fails when nothing listens, when the connection is cut, and when the answer is no HTTP", async () => {
    const nobody = await unusedPort();
    for (const check of [http, tcp]) {
      expect(await probe(check, nobody, never)).toMatchObject({ reason: expect.stringContaining("refused") });
    }
    const cut = await listen(createTcpServer((socket) => socket.destroy()));
    expect(await probe(http, cut, never)).toMatchObject({ passed: false });
    const odd = await listen(
      createTcpServer((socket) =>
        socket
          .on("error", () => {})
          .resume()
          .end("SSH-2.0\r\n"),
      ),
    );
    expect(await probe(http, odd, never)).toMatchObject({ passed: false });
    expect(await probe(tcp, odd, never)).toEqual({ passed: true });
  });

  it("fails for a path that no request can have", async () => {
    const address = await serve((_request, response) => response.end());
    expect(await probe({ ...http, path: "/with space" }, address, never)).toMatchObject({ passed: false });
  });

  it("ends at once when aborted", async () => {
    const silent = await serve(() => undefined);
    const stop = new AbortController();
    const waiting = probe(http, silent, stop.signal);
    stop.abort();
    expect(await waiting).toMatchObject({ passed: false });
    expect(await probe(http, silent, stop.signal)).toMatchObject({ passed: false });
  });
});

describe("runChecks()", () => {
  const before = { health: "unknown", reason: null } as const;

  /** Runs the checks; `changes` yields each change of health. */
  function run(checks: readonly Check[], address: { host: string; port: number }) {
    const stop = new AbortController();
    const changes: HealthChanged[] = [];
    const waiting: (() => void)[] = [];
    const onChange = (change: HealthChanged) => {
      changes.push(change);
      for (const wake of waiting.splice(0)) wake();
    };
    const options = { checks, address, vmStartedAtMs: Date.now(), before };
    const ended = runChecks(options, { nowMs: Date.now, onChange }, stop.signal);
    const next = async () => {
      while (changes.length === 0) await new Promise<void>((wake) => waiting.push(wake));
      return changes.shift();
    };
    const end = () => {
      stop.abort();
      return ended;
    };
    return { next, stop: end };
  }

  it("reports healthy, then unhealthy after three failures, then healthy at the next pass", async () => {
    const statuses = [200, 200, 500, 500, 500, 500, 200];
    let asked = 0;
    const address = await serve((_request, response) => response.writeHead(statuses[asked++] ?? 200).end());
    const checks = run([http], address);
    expect(await checks.next()).toMatchObject({ from: "unknown", health: "healthy" });
    expect(await checks.next()).toMatchObject({ health: "unhealthy", reason: "GET /healthz: status 500" });
    expect(asked).toBe(5);
    expect(await checks.next()).toMatchObject({ from: "unhealthy", health: "healthy" });
    await checks.stop();
  });

  it("without checks asks whether the port accepts, and sees a late listener long before the interval", async () => {
    const address = await unusedPort();
    const checks = run([], address);
    const server = createServer();
    servers.push(server);
    server.listen(address.port, address.host);
    expect(await checks.next()).toMatchObject({ health: "healthy" });
    await checks.stop();
  });

  it("asks a check of a long interval fast until its first pass, within grace", async () => {
    let asked = 0;
    const address = await serve((_request, response) => response.writeHead(++asked < 5 ? 503 : 200).end());
    const hourly = { ...http, intervalMs: 3_600_000, gracePeriodMs: 60_000 };
    const checks = run([hourly], address);
    expect(await checks.next()).toMatchObject({ health: "healthy" });
    await checks.stop();
  });

  it("stops in the middle of a probe and in the middle of a pause", async () => {
    const silent = await serve(() => undefined);
    await run([http], silent).stop();
    const nobody = await unusedPort();
    const checks = run([http], nobody);
    expect(await checks.next()).toMatchObject({ health: "unhealthy" });
    await checks.stop();
  });
});
