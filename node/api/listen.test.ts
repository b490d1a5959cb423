import { existsSync, mkdtempSync, renameSync, rmSync, statSync, writeFileSync } from "node:fs";
import { request as httpRequest } from "node:http";
import { createServer, type Server } from "node:net";
import { tmpdir } from "node:os";
import path from "node:path";
import { Hono } from "hono";
import { Agent, request } from "undici";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { assertApiIsFree, ListenError, listenApi } from "./listen.ts";
import type { ApiEnv } from "./ports.ts";

const app = new Hono<ApiEnv>().get("/", (context) =>
  context.text(`relayed: ${context.env.isRelayed ?? false}`),
);
const api = { host: "127.0.0.1", port: 0 };

let folder: string;
let socketFile: string;
beforeEach(() => {
  folder = mkdtempSync(path.join(tmpdir(), "grapevine-listen-"));
  socketFile = path.join(folder, "agent.sock");
});
afterEach(() => rmSync(folder, { recursive: true }));

async function refusal(waited: Promise<unknown>): Promise<string> {
  try {
    await waited;
  } catch (error) {
    return error instanceof ListenError ? `${error.code}: ${error.message}` : `other: ${String(error)}`;
  }
  return "not refused";
}

async function listenOn(server: Server, where: object): Promise<void> {
  await new Promise<void>((resolve) => server.listen(where, resolve));
}

describe("listenApi()", () => {
  it("answers on the port and on a socket for its owner alone, until it is closed", async () => {
    const listener = await listenApi(app, { api, socketFile });
    expect(statSync(socketFile).mode & 0o777).toBe(0o600);
    const dispatcher = new Agent({ connect: { socketPath: socketFile } });
    expect(await (await request(`${listener.url}/`)).body.text()).toBe("relayed: false");
    expect(await (await request("http://localhost/", { dispatcher })).body.text()).toBe("relayed: false");
    await dispatcher.close();
    await listener.close();
    expect(existsSync(socketFile)).toBe(false);
    await expect(request(`${listener.url}/`)).rejects.toThrow();
  });

  it.each(["/v1/entries/a/../b", "/v1/entries/../apps/hello", "/x/%2E%2e/y", "/./x"])(
    "refuses %s as it was sent: resolved, it would name another resource",
    async (target) => {
      const listener = await listenApi(app, { api, socketFile });
      const { hostname, port } = new URL(listener.url);
      const status = await new Promise<number | undefined>((resolve, reject) => {
        const sent = httpRequest({ hostname, port, path: target, method: "DELETE" }, (response) => {
          response.resume();
          resolve(response.statusCode);
        });
        sent.once("error", reject).end();
      });
      expect(status).toBe(400);
      await listener.close();
    },
  );

  it("says that the port is taken, and leaves no socket behind", async () => {
    const first = await listenApi(app, { api, socketFile });
    const port = Number(new URL(first.url).port);
    const otherSocket = path.join(folder, "other.sock");
    const second = { api: { host: "127.0.0.1", port }, socketFile: otherSocket };
    const expected = `address-taken: api = "127.0.0.1:${port}": the port is taken: stop who has it, or choose another`;
    expect(await refusal(assertApiIsFree(second))).toBe(expected);
    expect(await refusal(listenApi(app, second))).toBe(expected);
    expect(existsSync(otherSocket)).toBe(false);
    await first.close();
  });

  it("does not take the socket of an agent that answers", async () => {
    const first = await listenApi(app, { api, socketFile });
    const expected = `socket-taken: ${socketFile}: an agent answers there: stop it, or choose another state_dir`;
    expect(await refusal(assertApiIsFree({ api, socketFile }))).toBe(expected);
    expect(await refusal(listenApi(app, { api, socketFile }))).toBe(expected);
    expect(existsSync(socketFile)).toBe(true);
    await first.close();
  });

  it("takes the place of a socket that a killed agent left", async () => {
    const killed = createServer();
    const link = path.join(folder, "killed.sock");
    await listenOn(killed, { path: link });
    // Renamed before the close: Node then finds nothing to remove, as after a kill.
    renameSync(link, socketFile);
    await new Promise((resolve) => killed.close(resolve));
    expect(existsSync(socketFile)).toBe(true);
    const listener = await listenApi(app, { api, socketFile });
    await listener.close();
  });

  it("removes no file that is not a socket", async () => {
    writeFileSync(socketFile, "mine");
    expect(await refusal(listenApi(app, { api, socketFile }))).toContain("socket-taken");
    expect(statSync(socketFile).isFile()).toBe(true);
  });

  it("says that a path is too long for a socket", async () => {
    const long = path.join(folder, "x".repeat(120));
    expect(await refusal(listenApi(app, { api, socketFile: long }))).toContain("choose a shorter state_dir");
  });

  it("names an address that this machine does not have", async () => {
    const elsewhere = { api: { host: "203.0.113.1", port: 7_900 }, socketFile };
    expect(await refusal(listenApi(app, elsewhere))).toContain(
      'not-possible: api = "203.0.113.1:7900": this machine has no such address',
    );
  });

  it("breaks the connection when a body fails on the way, and never ends it as if it were whole", async () => {
    const failing = new Hono<ApiEnv>().get("/", () => {
      let pulls = 0;
      const pull = (controller: ReadableStreamDefaultController) => {
        if (pulls++ === 0) controller.enqueue(new TextEncoder().encode("first\n"));
        else throw new Error("lost on the way");
      };
      return new Response(new ReadableStream({ pull }, { highWaterMark: 0 }));
    });
    const listener = await listenApi(failing, { api, socketFile });
    const { body } = await request(`${listener.url}/`);
    const chunks: string[] = [];
    const read = (async () => {
      for await (const chunk of body) chunks.push(String(chunk));
    })();
    await expect(read).rejects.toThrow();
    expect(chunks.join("")).toBe("first\n");
    await listener.close();
  });

  it("lets the source know when the client has gone", async () => {
    const gone = Promise.withResolvers<void>();
    const endless = new Hono<ApiEnv>().get("/", () => {
      return new Response(new ReadableStream({ cancel: () => gone.resolve() }));
    });
    const listener = await listenApi(endless, { api, socketFile });
    const { body } = await request(`${listener.url}/`);
    body.on("error", () => undefined).destroy();
    await gone.promise;
    await listener.close();
  });

  it("ends followers when it is closed", async () => {
    const endless = new Hono<ApiEnv>().get(
      "/",
      () => new Response(new ReadableStream({ start: () => undefined })),
    );
    const listener = await listenApi(endless, { api, socketFile });
    const { body } = await request(`${listener.url}/`);
    const read = body.text();
    await listener.close();
    await expect(read).rejects.toThrow();
  });
});
