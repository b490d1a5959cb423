import { createServer, type RequestListener, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { afterEach, describe, expect, it } from "vitest";
import { ApiClient, ApiError, NoAgentError } from "./api-client.ts";

const NEVER = new AbortController().signal;
const PUT = { method: "PUT", path: "/v1/entries/a", json: 1, isOwnWrite: true } as const;
const servers: Server[] = [];
const clients: ApiClient[] = [];

afterEach(async () => {
  for (const client of clients.splice(0)) await client.close();
  for (const server of servers.splice(0)) {
    server.closeAllConnections();
    server.close();
  }
});

async function agent(answer: RequestListener): Promise<string> {
  const server = createServer(answer);
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

async function deadAgent(): Promise<string> {
  const address = await agent(() => undefined);
  await new Promise((resolve) => servers.pop()?.close(resolve));
  return address;
}

function clientOf(...addresses: readonly string[]): ApiClient {
  const client = new ApiClient(addresses.map((address) => ({ address, name: "host-1", isVerified: true })));
  clients.push(client);
  return client;
}

describe("a write of the agent's own", () => {
  it("is not sent to another agent once the first may have got it", async () => {
    let asked = 0;
    const breaking = await agent((request) => request.socket.destroy());
    const other = await agent((_request, response) => {
      asked += 1;
      response.end("{}");
    });
    const failure = await clientOf(breaking, other)
      .json(PUT, NEVER)
      .catch((error: unknown) => error);
    expect(failure).toBeInstanceOf(NoAgentError);
    expect((failure as Error).message).toMatch(/broke off .*: whether it wrote that is not known/);
    expect(asked).toBe(0);
  });

  it("is not sent to another agent when the first refuses it for now", async () => {
    const full = await agent((_request, response) => {
      response.writeHead(503).end('{"error":{"code":"unavailable","message":"disk full"}}');
    });
    const other = await agent((_request, response) => response.end("{}"));
    await expect(clientOf(full, other).json(PUT, NEVER)).rejects.toThrow("disk full");
  });

  it("goes to the next agent when the first is not there", async () => {
    const other = await agent((_request, response) => response.end('{"ok":true}'));
    expect(await clientOf(await deadAgent(), other).json(PUT, NEVER)).toEqual({ ok: true });
  });
});

describe("an error", () => {
  it("keeps the whole answer", async () => {
    const answer = { missing: ["proxy-1"], error: { code: "timed-out", message: "not in time" } };
    const late = await agent((_request, response) => {
      response.writeHead(504).end(JSON.stringify(answer));
    });
    const failure = await clientOf(late)
      .json(PUT, NEVER)
      .catch((error: unknown) => error);
    expect(failure).toBeInstanceOf(ApiError);
    expect(failure).toMatchObject({ code: "timed-out", message: "not in time", answer });
  });
});
