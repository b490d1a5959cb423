import { afterEach, beforeEach, expect, it } from "vitest";
import { MemoryHub } from "../../mesh/sim/memory-mesh.ts";
import { WATCHERS_MAX } from "../limits.ts";
import { ApiHarness, errorOf } from "./api-harness.ts";

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
