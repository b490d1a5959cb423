import { mkdtempSync, rmSync } from "node:fs";
import { Agent, createServer, type IncomingMessage, type RequestListener, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterEach, describe, expect, it, vi } from "vitest";
import { type Answer, connections, type ExchangeError, exchange, type Question } from "./exchange.ts";

const NEVER = new AbortController().signal;
const AGES_MS = 3_600_000;
const servers: Server[] = [];
const agents: Agent[] = [];
const folders: string[] = [];

afterEach(() => {
  vi.useRealTimers();
  for (const agent of agents.splice(0)) agent.destroy();
  for (const server of servers.splice(0)) {
    server.closeAllConnections();
    server.close();
  }
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true });
});

function started(answer: RequestListener, at: string | { readonly port: 0 }): Promise<Server> {
  const server = createServer(answer);
  servers.push(server);
  return new Promise((resolve) =>
    typeof at === "string"
      ? server.listen(at, () => resolve(server))
      : server.listen(0, "127.0.0.1", () => resolve(server)),
  );
}

async function urlOf(answer: RequestListener): Promise<URL> {
  const { port } = (await started(answer, { port: 0 })).address() as AddressInfo;
  return new URL(`http://127.0.0.1:${port}/`);
}

function asked(question: Partial<Question> & { readonly url: URL }, agent = connections()): Promise<Answer> {
  agents.push(agent);
  const patient = { connectTimeoutMs: AGES_MS, answerTimeoutMs: AGES_MS, silenceTimeoutMs: AGES_MS };
  return exchange(agent, { method: "GET", ...patient, ...question }, NEVER);
}

async function textOf(chunks: AsyncIterable<Uint8Array>): Promise<string> {
  let text = "";
  for await (const chunk of chunks) text += Buffer.from(chunk).toString();
  return text;
}

const echo: RequestListener = async (request, response) => {
  const { "content-type": type, "content-length": length, "transfer-encoding": coding } = request.headers;
  const heard = await textOf(request);
  response.end(JSON.stringify({ method: request.method, url: request.url, type, length, coding, heard }));
};

describe("exchange()", () => {
  it.each(["POST", "PUT", "DELETE"])("sends the JSON of a %s with its length", async (method) => {
    const url = await urlOf(echo);
    const { statusCode, body } = await asked({ url: new URL("/a?b=c", url), method, body: '"ä"' });
    expect(statusCode).toBe(200);
    expect(JSON.parse(await textOf(body))).toEqual({
      method,
      url: "/a?b=c",
      type: "application/json",
      length: "4",
      heard: '"ä"',
    });
  });

  it("sends a body as it streams", async () => {
    async function* stream(): AsyncGenerator<Uint8Array> {
      yield Buffer.from("one ");
      yield Buffer.from("two");
    }
    const { body } = await asked({ url: await urlOf(echo), method: "PUT", body: stream() });
    expect(JSON.parse(await textOf(body))).toMatchObject({ coding: "chunked", heard: "one two" });
  });

  it("fails by what its body's source fails by", async () => {
    // biome-ignore lint/correctness/useYield: it fails before its first piece.
    async function* stream(): AsyncGenerator<Uint8Array> {
      throw new Error("the file is gone");
    }
    const answer = asked({ url: await urlOf(echo), method: "PUT", body: stream() });
    await expect(answer).rejects.toThrow("the file is gone");
  });

  it("reaches a unix socket", async () => {
    const folder = mkdtempSync(path.join(tmpdir(), "grapevine-exchange-"));
    folders.push(folder);
    const socketPath = path.join(folder, "a.sock");
    await started(echo, socketPath);
    const { body } = await asked({ url: new URL("http://localhost/v1"), socketPath });
    expect(JSON.parse(await textOf(body))).toMatchObject({ url: "/v1" });
  });

  it("asks again over the connection it has", async () => {
    const url = await urlOf((request, response) => response.end(String(request.socket.remotePort)));
    const agent = connections();
    const first = await textOf((await asked({ url }, agent)).body);
    expect(await textOf((await asked({ url }, agent)).body)).toBe(first);
  });

  it("gives up who takes no connection, of whom it is known that nothing was sent", async () => {
    // Its name is looked up for ever.
    const agent = new Agent({ lookup: () => undefined });
    const answer = asked({ url: new URL("http://nowhere.invalid/"), connectTimeoutMs: 20 }, agent);
    await expect(answer).rejects.toMatchObject({ code: "no-connection" });
  });

  it("gives up who does not answer, and who falls silent in the answer", async () => {
    const mute = await urlOf(() => undefined);
    await expect(asked({ url: mute, answerTimeoutMs: 20 })).rejects.toMatchObject({ code: "silence" });
    const broken = await urlOf((_request, response) => response.write("a"));
    const { body } = await asked({ url: broken, silenceTimeoutMs: 20 });
    await expect(textOf(body)).rejects.toMatchObject({ code: "silence" } satisfies Partial<ExchangeError>);
  });

  it("tells an answer that is cut off from one that ends", async () => {
    const url = await urlOf((_request, response) => {
      response.write("a", () => response.socket?.destroy());
    });
    const { body } = await asked({ url });
    await expect(textOf(body)).rejects.toMatchObject({ code: "ECONNRESET" });
  });

  it("does not take the time of its reader for silence", async () => {
    let end: () => void = () => undefined;
    const url = await urlOf((_request, response) => {
      response.write("a");
      end = () => response.end("b");
    });
    vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
    const { body } = await asked({ url });
    let text = "";
    for await (const chunk of body) {
      text += Buffer.from(chunk).toString();
      vi.advanceTimersByTime(10 * AGES_MS);
      end();
    }
    expect(text).toBe("ab");
  });

  it("does not take the time of its body's source for silence", async () => {
    const { promise: heard, resolve } = Promise.withResolvers<unknown>();
    const url = await urlOf((request, response) => {
      request.once("data", resolve);
      return echo(request, response);
    });
    vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
    async function* stream(): AsyncGenerator<Uint8Array> {
      yield Buffer.from("a");
      await heard;
      vi.advanceTimersByTime(10 * AGES_MS);
      yield Buffer.from("b");
    }
    const { body } = await asked({ url, method: "PUT", body: stream() });
    expect(JSON.parse(await textOf(body))).toMatchObject({ heard: "ab" });
  });

  it("ends with its signal, before the answer and in it", async () => {
    const { promise: heard, resolve } = Promise.withResolvers<IncomingMessage>();
    const mute = await urlOf(resolve);
    const url = await urlOf((_request, response) => response.write("a"));
    const stop = new AbortController();
    const agent = connections();
    agents.push(agent);
    const patient = { connectTimeoutMs: AGES_MS, answerTimeoutMs: AGES_MS, silenceTimeoutMs: AGES_MS };
    const started = await exchange(agent, { url, method: "GET", ...patient }, stop.signal);
    const unanswered = exchange(agent, { url: mute, method: "GET", ...patient }, stop.signal);
    await heard;
    const read = async (): Promise<void> => {
      for await (const _ of started.body) stop.abort();
    };
    const ended = { name: "AbortError" };
    await Promise.all([
      expect(unanswered).rejects.toMatchObject(ended),
      expect(read()).rejects.toMatchObject(ended),
    ]);
  });
});
