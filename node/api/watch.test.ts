import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { type IncomingMessage, request } from "node:http";
import { tmpdir } from "node:os";
import path from "node:path";
import { setImmediate as nextTurn } from "node:timers/promises";
import { afterEach, beforeEach, expect, it } from "vitest";
import { MemoryHub } from "../../mesh/sim/memory-mesh.ts";
import { WATCH_BASE64_BYTES_MAX, WATCHERS_MAX } from "../limits.ts";
import { listenApi } from "./listen.ts";
import { ApiHarness, errorOf } from "./testing/api-harness.ts";

let harness: ApiHarness;
beforeEach(() => {
  harness = new ApiHarness(new MemoryHub());
});
afterEach(() => harness.stop());

/** The lines of the next page. */
async function page(
  reader: ReadableStreamDefaultReader<Uint8Array>,
): Promise<readonly { readonly position: string }[]> {
  const { value } = await reader.read();
  const lines = new TextDecoder().decode(value).trimEnd().split("\n");
  return lines.map((line) => JSON.parse(line) as { position: string });
}

/** Over a real socket, where what is not read fills the buffers on the way. */
it("a client that stops reading is told that it fell behind, and its connection ends", async () => {
  const folder = mkdtempSync(path.join(tmpdir(), "grapevine-watch-"));
  const { voterApi, voterMesh } = harness;
  const listener = await listenApi(voterApi, {
    api: { host: "127.0.0.1", port: 0 },
    socketFile: path.join(folder, "api.sock"),
  });
  const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>();
  request(`${listener.url}/v1/watch?prefix=vm/`, resolve).on("error", reject).end();
  const response = await promise;
  await once(response, "readable");
  // All buffers on the way have some megabytes; a line has as many bytes as this value and a third.
  for (let at = 0; at < 6_000; at += 1) {
    voterMesh.write("vm/a", new Uint8Array(WATCH_BASE64_BYTES_MAX).fill(at % 256));
    // The server takes what the client does not read as far as its buffers have room.
    await nextTurn();
  }
  let last = "";
  for await (const chunk of response) last = `${last}${chunk}`.slice(-1_000);
  expect(JSON.parse(last.trimEnd().split("\n").at(-1) ?? "")).toMatchObject({
    position: null,
    restart: { reason: expect.stringContaining("you fell behind") },
  });
  await listener.close();
  rmSync(folder, { recursive: true });
});

function read(response: Response): ReadableStreamDefaultReader<Uint8Array> {
  return (response.body as ReadableStream<Uint8Array>).getReader();
}

it("GET /v1/watch streams lines, and goes on from the position of one", async () => {
  const { voterApi, voterMesh } = harness;
  const response = await voterApi.request("/v1/watch?prefix=vm/");
  expect(response.headers.get("content-type")).toMatch(/ndjson/);
  const first = read(response);
  const lines = await page(first);
  expect(lines).toMatchObject([
    { watch: { agent: "host-1", prefix: "vm/", resumed: false } },
    { snapshotEnd: { entries: 0 } },
  ]);
  await first.cancel();
  voterMesh.write("vm/a", new Uint8Array([1]));
  const again = read(await voterApi.request(`/v1/watch?prefix=vm/&from=${lines.at(-1)?.position}`));
  expect(await page(again)).toMatchObject([
    { watch: { resumed: true } },
    { change: { key: "vm/a", name: "host-1" } },
  ]);
  await again.cancel();
});

it("a position that is of no use is refused unmistakably, and one that is none as a mistake", async () => {
  const { voterApi, otherApi } = harness;
  const reader = read(await otherApi.request("/v1/watch"));
  const position = (await page(reader)).at(-1)?.position;
  await reader.cancel();
  const gone = await voterApi.request(`/v1/watch?from=${position}`);
  expect(gone.status).toBe(410);
  expect(await gone.json()).toMatchObject({
    error: {
      code: "gone",
      restart: true,
      message: expect.stringMatching(/^you must begin anew, without from: this position is of another agent/),
    },
  });
  expect(await errorOf(voterApi.request("/v1/watch?from=17"))).toContain(
    "400 invalid: from must be a position",
  );
});

it("the number of watchers is bounded, and one that goes makes room", async () => {
  const { voterApi } = harness;
  const readers = [];
  for (let at = 0; at < WATCHERS_MAX; at += 1) readers.push(read(await voterApi.request("/v1/watch")));
  expect(await errorOf(voterApi.request("/v1/watch"))).toContain(
    `503 unavailable: host-1 has ${WATCHERS_MAX} watchers`,
  );
  await readers.pop()?.cancel();
  readers.push(read(await voterApi.request("/v1/watch")));
  await Promise.all(readers.map((reader) => reader.cancel()));
});

it("a HEAD request is no watcher", async () => {
  const { voterApi } = harness;
  for (let at = 0; at < WATCHERS_MAX; at += 1)
    expect((await voterApi.request("/v1/watch", { method: "HEAD" })).status).toBe(200);
  const answer = await voterApi.request("/v1/watch");
  expect(answer.status).toBe(200);
  await read(answer).cancel();
});
