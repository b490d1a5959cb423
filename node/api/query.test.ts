import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { memberName } from "../../mesh/index.ts";
import { MemoryHub } from "../../mesh/sim/memory-mesh.ts";
import { QUERY_WATCHERS_MAX } from "../limits.ts";
import { type Api, ApiHarness, errorOf } from "./testing/api-harness.ts";
import { fakeVmEntry, writeVm } from "./testing/fake-agent.ts";

let harness: ApiHarness;
let { voterMesh, voterApi } = {} as ApiHarness;
// One for all: each starts a process of queries.
beforeAll(() => {
  harness = new ApiHarness(new MemoryHub());
  ({ voterMesh, voterApi } = harness);
});
afterAll(() => harness.stop());

function post(api: Api, path: string, body: unknown): Response | Promise<Response> {
  return api.request(path, { method: "POST", body: JSON.stringify(body) });
}

describe("POST /v1/query", () => {
  it("answers columns and rows", async () => {
    writeVm(voterMesh, fakeVmEntry("hello-v1-1", memberName("host-1")));
    const sql = "select app, state, count(*) as n from vms where app = ? group by 1, 2";
    const response = await post(voterApi, "/v1/query", { sql, params: ["hello"] });
    expect(response.status).toBe(200);
    expect(await response.json()).toEqual({
      columns: ["app", "state", "n"],
      rows: [["hello", "running", 1]],
      truncated: false,
      tookMs: expect.any(Number),
    });
    voterMesh.write("vm/hello-v1-1", null);
  });

  it("takes named parameters, and answers no rows as an empty list", async () => {
    const response = await post(voterApi, "/v1/query", {
      sql: "select 1 where :yes",
      params: { yes: false },
    });
    expect(await response.json()).toMatchObject({ columns: ["1"], rows: [] });
  });

  it.each([
    [{ sql: "select * from nope" }, /^400 invalid: no such table: nope; the tables are vms, /],
    [{ sql: "delete from apps" }, /^400 invalid: a query may only read/],
    [{ sql: "select randomblob(1000000000)" }, /^413 too-large: /],
    [{ sql: 1 }, /^400 invalid: the body must be .*: sql: /],
    [{ sql: "select 1", params: [[1]] }, /^400 invalid: the body must be/],
    [{ sql: `select '${"x".repeat(20_000)}'` }, /^400 invalid: the body must be/],
    [{ sql: "x".repeat(100_000) }, /^413 too-large: the body has at most/],
    ["nonsense", /^400 invalid/],
  ])("%j is refused with what to write instead", async (body, says) => {
    expect(await errorOf(post(voterApi, "/v1/query", body))).toMatch(says);
  });
});

describe("POST /v1/query/watch", () => {
  /** Reads line by line. */
  async function watch(sql: string): Promise<{ next: () => Promise<unknown>; cancel: () => Promise<void> }> {
    const response = await post(voterApi, "/v1/query/watch", { sql });
    const reader = (response.body as ReadableStream<Uint8Array>).getReader();
    let rest = "";
    const next = async (): Promise<unknown> => {
      for (;;) {
        const end = rest.indexOf("\n");
        const line = rest.slice(0, end);
        if (end >= 0) rest = rest.slice(end + 1);
        if (end >= 0 && line !== "") return JSON.parse(line);
        if (end >= 0) continue;
        const { value, done } = await reader.read();
        if (done) return "end";
        rest += new TextDecoder().decode(value);
      }
    };
    return { next, cancel: () => reader.cancel() };
  }

  it("tells the result, and then what comes, changes and goes", async () => {
    const host = memberName("host-1");
    writeVm(voterMesh, fakeVmEntry("hello-v1-1", host));
    const watched = await watch("select vm, health from vms order by 1");
    const first = [await watched.next(), await watched.next(), await watched.next()];
    expect(first).toEqual([
      { columns: ["vm", "health"] },
      { row: ["hello-v1-1", "healthy"] },
      { endOfRows: { rows: 1 } },
    ]);
    writeVm(voterMesh, { ...fakeVmEntry("hello-v1-1", host), health: "unhealthy" });
    expect(await watched.next()).toEqual({
      changed: { from: ["hello-v1-1", "healthy"], to: ["hello-v1-1", "unhealthy"] },
    });
    writeVm(voterMesh, fakeVmEntry("hello-v1-2", host));
    expect(await watched.next()).toEqual({ added: ["hello-v1-2", "healthy"] });
    voterMesh.write("vm/hello-v1-1", null);
    expect(await watched.next()).toEqual({ removed: ["hello-v1-1", "unhealthy"] });
    voterMesh.write("vm/hello-v1-2", null);
    await watched.cancel();
  });

  it("says what is wrong, and ends", async () => {
    const watched = await watch("select nope from vms");
    expect(await watched.next()).toMatchObject({ error: { code: "invalid" } });
    expect(await watched.next()).toBe("end");
    const large = await watch(
      "with recursive c(x) as (select 1 union all select x + 1 from c) select x from c",
    );
    expect(await large.next()).toMatchObject({ error: { code: "too-large" } });
    expect(await large.next()).toBe("end");
  });

  it("has bounded readers, and one that goes makes room", async () => {
    const watched = [];
    for (let at = 0; at < QUERY_WATCHERS_MAX; at += 1) watched.push(await watch("select 1"));
    expect(await errorOf(post(voterApi, "/v1/query/watch", { sql: "select 1" }))).toContain(
      "503 unavailable",
    );
    await watched.pop()?.cancel();
    const again = await watch("select 1");
    expect(await again.next()).toEqual({ columns: ["1"] });
    await Promise.all([again, ...watched].map(({ cancel }) => cancel()));
  });
});
