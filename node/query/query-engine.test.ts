// The engine against everything that a query can try, each on a real process, and the agent's own event loop beside it.

import { spawnSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import {
  type AppRecord,
  appName,
  type CommittedApp,
  encodeRecord,
  hostKey,
  type Mesh,
  memberName,
  vmName,
} from "../../mesh/index.ts";
import { MemoryHub } from "../../mesh/sim/memory-mesh.ts";
import { fakeSealedSpec, fakeVmEntry, writeVm } from "../api/testing/fake-agent.ts";
import { QUERY_RESULT_BYTES_MAX, QUERY_ROWS_MAX } from "../limits.ts";
import { QUERY_ENGINE_DEFAULTS, QueryEngine } from "./query-engine.ts";
import type { QueryOutcome } from "./query-process.ts";
import type { QueryBounds, QueryParams } from "./query-protocol.ts";

const NEVER = new AbortController().signal;
const BOUNDS: QueryBounds = { rowsMax: QUERY_ROWS_MAX, bytesMax: QUERY_RESULT_BYTES_MAX };
const ENDLESS = "with recursive c(x) as (select 1 union all select x + 1 from c) select count(*) from c";

let mesh: Mesh;
let other: Mesh;
let engine: QueryEngine;
const engines: QueryEngine[] = [];

function newEngine(options: Partial<typeof QUERY_ENGINE_DEFAULTS> = {}): QueryEngine {
  const deps = { mesh, apps: () => [committed()], log: { info: () => undefined } };
  const made = new QueryEngine({ ...QUERY_ENGINE_DEFAULTS, ...options }, deps);
  engines.push(made);
  return made;
}

function committed(): CommittedApp {
  const spec = fakeSealedSpec(new Uint8Array(1), { command: ["node", "--token=hunter2"] });
  const record: AppRecord = {
    format: 1,
    app: appName("hello"),
    deleted: false,
    hostnames: ["hello.localhost"],
    releases: [{ number: 1, specHash: "x", spec, vmsNamed: 2, submittedAtMs: 5 }],
    current: 1,
    lastRelease: 1,
    vms: [
      { vm: vmName("hello-v1-1"), release: 1, host: memberName("host-1"), phase: "serving", requires: null },
      { vm: vmName("hello-v1-2"), release: 1, host: memberName("host-2"), phase: "starting", requires: null },
    ],
    rollout: null,
  };
  return { epoch: 7, record };
}

beforeAll(async () => {
  const hub = new MemoryHub();
  mesh = hub.join({ name: "host-1", role: "host" });
  other = hub.join({ name: "host-2", role: "host" });
  writeVm(mesh, fakeVmEntry("hello-v1-1", memberName("host-1")));
  // Not believed: it speaks for another.
  writeVm(other, fakeVmEntry("hello-v1-9", memberName("host-1")));
  const labels = { rack: "a1" };
  const host = {
    format: 1,
    host: "host-1",
    region: "eu",
    labels,
    api: "http://127.0.0.1:1",
    pid: 1,
    voter: true,
  };
  mesh.write(hostKey(memberName("host-1")), encodeRecord(host));
  mesh.write("custom/motd", new TextEncoder().encode("hunter2"));
  for (const member of [mesh, other]) member.announce();
  await Promise.resolve();
  // Time is not what is tested with it, and this machine may be busy.
  engine = newEngine({ runMs: 60_000 });
});
afterEach(async () => {
  const short = engines.filter((candidate) => candidate !== engine);
  await Promise.all(short.map((candidate) => candidate.stop()));
});
afterAll(async () => {
  await Promise.all(engines.map((candidate) => candidate.stop()));
  await Promise.all([mesh.stop(), other.stop()]);
});

function ask(sql: string, params: QueryParams = [], on = engine, bounds = BOUNDS): Promise<QueryOutcome> {
  return on.query({ sql, params, bounds }, NEVER);
}

/** Rows, or "code: message". */
async function rowsOf(
  sql: string,
  params: QueryParams = [],
  on = engine,
): Promise<readonly unknown[] | string> {
  const outcome = await ask(sql, params, on);
  return outcome.code === "rows"
    ? outcome.rows.map((row) => JSON.parse(row))
    : `${outcome.code}: ${outcome.message}`;
}

describe("a query", () => {
  it("counts VMs as the person on call does", async () => {
    const outcome = await ask("select app, state, count(*) from vms group by 1,2");
    expect(outcome).toMatchObject({ code: "rows", columns: ["app", "state", "count(*)"], truncated: false });
    expect(await rowsOf("select app, state, count(*) from vms group by 1,2")).toEqual([
      ["hello", "running", 1],
    ]);
  });

  it.each<readonly [sql: string, rows: readonly unknown[]]>([
    [
      "select vm, host, phase, health, address from vms",
      [["hello-v1-1", "host-1", "serving", "healthy", "127.0.0.1:20000"]],
    ],
    ["select vm, phase from wanted where vm not in (select vm from vms)", [["hello-v1-2", "starting"]]],
    [
      "select app, epoch, release, json_extract(hostnames, '$[0]') from apps",
      [["hello", 7, 1, "hello.localhost"]],
    ],
    ["select app, release, count, strategy, submitted_at_ms from releases", [["hello", 1, 1, "rolling", 5]]],
    [
      "select host, state, region, voter, json_extract(labels, '$.rack') from hosts",
      [["host-1", "alive", "eu", 1, "a1"]],
    ],
    [
      "select name, role, self, connected from members order by name",
      [
        ["host-1", "host", 1, 1],
        ["host-2", "host", 0, 1],
      ],
    ],
    ["select name, bytes, value from entries where key = 'custom/motd'", [["host-1", 7, null]]],
    ["select json_extract(value, '$.state') from entries where key = 'vm/hello-v1-1'", [["running"]]],
    ["select count(*) from proxies", [[0]]],
  ])("%s", async (sql, rows) => {
    expect(await rowsOf(sql)).toEqual(rows);
  });

  it("takes parameters, by place and by name", async () => {
    expect(await rowsOf("select ? + ?, ?", [40, 2, "x"])).toEqual([[42, "x"]]);
    expect(await rowsOf("select vm from vms where app = :app", { app: "hello" })).toEqual([["hello-v1-1"]]);
    expect(await rowsOf("select :a", { b: 1 })).toMatch(/^invalid: .*b/);
    // Not SQL, whatever is in it.
    expect(await rowsOf("select ?", ["'; drop table vms; --"])).toEqual([["'; drop table vms; --"]]);
  });

  it("gets numbers, bytes and infinity as JSON can have them", async () => {
    expect(await rowsOf("select 9007199254740993, 42, 1.5, 9e999, null, x'0102'")).toEqual([
      ["9007199254740993", 42, 1.5, "Infinity", null, { bytes: 2, base64: "AQI=" }],
    ]);
  });

  it("sees what changed since the last one: written, replaced, deleted", async () => {
    writeVm(mesh, fakeVmEntry("late-v1-1", memberName("host-1")));
    expect(await rowsOf("select state from vms where vm = 'late-v1-1'")).toEqual([["running"]]);
    writeVm(mesh, { ...fakeVmEntry("late-v1-1", memberName("host-1")), state: "stopping" });
    expect(await rowsOf("select state from vms where vm = 'late-v1-1'")).toEqual([["stopping"]]);
    mesh.write("vm/late-v1-1", null);
    expect(await rowsOf("select count(*) from vms where vm = 'late-v1-1'")).toEqual([[0]]);
    expect(await rowsOf("select count(*) from entries where key = 'vm/late-v1-1'")).toEqual([[0]]);
  });

  it("never sees an environment", async () => {
    const all = await rowsOf("select * from entries, apps, releases");
    expect(JSON.stringify(all)).not.toContain("hunter2");
  });
});

describe("a query that is wrong", () => {
  it.each([
    [
      "select * from vmz",
      /^invalid: no such table: vmz; the tables are vms, apps, releases, wanted, hosts, proxies, members, entries$/,
    ],
    [
      "select nope from vms",
      /^invalid: no such column: nope; the columns are vms \(vm, app, release, host, phase, /,
    ],
    ["selec 1", /^invalid: near "selec": syntax error$/],
    ["", /^invalid: .*no statements/],
    ["select (", /^invalid: incomplete input$/],
    ["select 1; select 2", /^invalid: one query at a time/],
    ["select 1; drop table apps", /^invalid: one query at a time/],
  ])("%s says what SQLite said, and what there is", async (sql, says) => {
    expect(await rowsOf(sql)).toMatch(says);
  });

  it("may end with comments and semicolons", async () => {
    expect(await rowsOf("select 1 ; -- that is all\n ;")).toEqual([[1]]);
  });
});

describe("a query that would harm", () => {
  it.each([
    "insert into apps (app) values ('x')",
    "update members set state = 'dead'",
    "delete from wanted",
    "drop view vms",
    "create table t (a)",
    "create temp table t (a)",
    "attach 'file:/tmp/x?mode=rwc' as x",
    "attach ':memory:' as x",
    "detach main",
    "vacuum",
    "vacuum into '/tmp/grapevine-query-test'",
    "pragma hard_heap_limit = 0",
    "pragma temp_store_directory = '/tmp'",
    "select * from pragma_database_list",
    "begin",
    "reindex",
    "analyze",
    "select load_extension('/tmp/x')",
    "create virtual table t using fts5(a)",
    "with x as (select 1) insert into apps (app) select '1' from x",
  ])("%s is refused", async (sql) => {
    expect(await rowsOf(sql)).toMatch(/^invalid: a query may only read: /);
  });

  it.each([
    "select readfile('/etc/passwd')",
    "select writefile('/tmp/grapevine-query-test', 'x')",
    "select edit('x')",
    "select fts3_tokenizer('simple', x'00')",
  ])("%s finds no such function", async (sql) => {
    expect(await rowsOf(sql)).toMatch(/^invalid: /);
    expect(existsSync("/tmp/grapevine-query-test")).toBe(false);
  });

  it.each([
    ["one value", "select randomblob(1000000000)", /^too-large: a value may have \d+ bytes/],
    ["one value, of zeros", "select zeroblob(2147483647)", /^too-large/],
    ["one text", "select printf('%.*c', 500000000, 'x')", /^too-large/],
    [
      "two gigabytes",
      "with recursive c(x) as (select 1 union all select x + 1 from c limit 2000), d as materialized (select zeroblob(900000) as r from c) select count(*), max(length(r)) from d where (select count(*) from d) > 0",
      /^too-large: the query needs more memory/,
    ],
    [
      "a join of a million rows",
      "with recursive c(x) as (select 1 union all select x + 1 from c limit 1000) select count(*), sum(a.x) from c a, c b",
      null,
    ],
  ])("%s costs no more memory than it may have", async (_what, sql, says) => {
    const result = await rowsOf(sql);
    if (says === null) expect(result).toEqual([[1_000_000, 500_500_000]]);
    else expect(result).toMatch(says);
    expect(await rowsOf("select count(*) from apps")).toEqual([[1]]);
  });

  it("has its rows and bytes cut, and says so", async () => {
    const many = "with recursive c(x) as (select 1 union all select x + 1 from c) select x from c";
    const rows = await ask(many);
    expect(rows.code === "rows" && [rows.rows.length, rows.truncated]).toEqual([QUERY_ROWS_MAX, true]);
    const fat = await ask(`${many.replace("select x from", "select x, hex(zeroblob(50000)) from")}`);
    if (fat.code !== "rows") throw new Error(fat.message);
    const bytes = fat.rows.reduce((sum, row) => sum + row.length, 0);
    expect(fat.truncated).toBe(true);
    expect(bytes).toBeLessThanOrEqual(QUERY_RESULT_BYTES_MAX);
  });

  it("that never ends is killed, the agent's event loop turns meanwhile, and the next is answered", async () => {
    const short = newEngine({ runMs: 300 });
    expect(await rowsOf("select 1", [], short)).toEqual([[1]]);
    const { pid } = short;
    let turns = 0;
    const ticking = setInterval(() => (turns += 1), 5);
    expect(await rowsOf(ENDLESS, [], short)).toMatch(/^too-large: the query took longer than the 0.3 s/);
    clearInterval(ticking);
    expect(turns).toBeGreaterThan(3);
    expect(isRunning(pid)).toBe(false);
    expect(await rowsOf("select count(*) from vms", [], short)).toEqual([[1]]);
    expect(short.pid).not.toBe(pid);
  });

  it("of whom the client goes is killed too", async () => {
    const own = newEngine();
    const client = new AbortController();
    const answer = own.query({ sql: ENDLESS, params: [], bounds: BOUNDS }, client.signal);
    await until(() => own.pid !== undefined);
    const { pid } = own;
    client.abort();
    expect(await answer).toMatchObject({ code: "unavailable" });
    await until(() => !isRunning(pid));
  });
});

describe("the process of queries", () => {
  it("is not there before it is needed, and goes when nobody asks", async () => {
    const own = newEngine({ idleMs: 50 });
    expect(own.pid).toBeUndefined();
    await rowsOf("select 1", [], own);
    const { pid } = own;
    expect(isRunning(pid)).toBe(true);
    await until(() => own.pid === undefined && !isRunning(pid));
    expect(await rowsOf("select count(*) from vms", [], own)).toEqual([[1]]);
  });

  it("goes with its agent, also in the midst of a query that never ends", async () => {
    const own = newEngine();
    const answer = ask(ENDLESS, [], own);
    await until(() => own.pid !== undefined);
    const { pid } = own;
    await own.stop();
    expect(await answer).toMatchObject({ code: "unavailable", message: "the agent stops" });
    expect(isRunning(pid)).toBe(false);
    expect(await ask("select 1", [], own)).toMatchObject({ code: "unavailable", message: "the agent stops" });
  });

  it("is killed by somebody, and the next query starts another", async () => {
    const own = newEngine();
    await rowsOf("select 1", [], own);
    process.kill(own.pid ?? Number.NaN, "SIGKILL");
    const outcomes = [await rowsOf("select 1", [], own), await rowsOf("select 1", [], own)];
    expect(outcomes).toContainEqual([[1]]);
  });

  it("is asked one query at a time, and more than may wait are refused", async () => {
    const own = newEngine({ waitingMax: 2 });
    const outcomes = await Promise.all([1, 2, 3, 4].map((at) => ask("select ?", [at], own)));
    expect(outcomes.map(({ code }) => code)).toEqual(["rows", "rows", "rows", "unavailable"]);
    expect(outcomes[3]).toMatchObject({ message: "2 queries wait already: ask again later" });
  });

  it("knows nothing of the agent's environment", async () => {
    await rowsOf("select 1");
    const { HOME, PATH } = process.env;
    const environment = readFileSync(`/proc/${engine.pid}/environ`, "utf8");
    for (const ours of [HOME, PATH]) if (ours !== undefined) expect(environment).not.toContain(ours);
  });
});

describe("an agent that is killed", () => {
  it("leaves no process of queries behind, though it is in the midst of one", async () => {
    const agent = spawnSync(process.execPath, ["node/query/testing/orphan.ts"], { encoding: "utf8" });
    const pid = Number(agent.stdout);
    expect(pid, agent.stderr).toBeGreaterThan(1);
    await until(() => !isRunning(pid));
  });
});

function isRunning(pid: number | undefined): boolean {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
    return stat.charAt(stat.lastIndexOf(")") + 2) !== "Z";
  } catch {
    return false;
  }
}

async function until(isTrue: () => boolean): Promise<void> {
  while (!isTrue()) await sleep(10);
}
