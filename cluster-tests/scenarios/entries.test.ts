// Entries of people: a write that waits returns when every one has it in force, or names who has not; and what was answered
// outlives its agent.

import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, expect, onTestFinished, test } from "vitest";
import type { EntryWriteView } from "../../node/api/entries.ts";
import type { AppFolder } from "../harness/app-folder.ts";
import type { CliResult } from "../harness/cli.ts";
import { getJson, until } from "../harness/observe.ts";
import { Scenario } from "../harness/scenario.ts";

const OTHERS = ["host-2", "host-3", "proxy-1", "proxy-2"];

let scenario: Scenario;
let folder: AppFolder;
beforeAll(async () => {
  scenario = await Scenario.start({ hosts: 3, proxies: 2 });
  folder = scenario.app();
});
afterAll(() => scenario.stop());

const text = (result: CliResult): string => result.stdout + result.stderr;

function fileOf(value: string): string {
  const file = join(folder.path, "value");
  writeFileSync(file, value);
  return file;
}

/** Of a command with --json. */
function viewOf(result: CliResult): EntryWriteView & { readonly exitCode: number } {
  return JSON.parse(result.stdout) as EntryWriteView & { exitCode: number };
}

const names = (members: readonly { readonly name: string }[]) => members.map(({ name }) => name).sort();

function put(key: string, value: string, timeout: string, host = "host-1"): Promise<CliResult> {
  const wait = ["--wait", "applied", "--timeout", timeout, "--json"];
  return scenario.run(["entry", "put", key, fileOf(value), ...wait], host);
}

/** Keys under `custom/` in the store of a proxy. */
async function keysAt(proxy: string): Promise<readonly string[]> {
  const entries = await getJson<{ key: string }[]>(`${scenario.proxy(proxy).admin}/v1/entries`);
  return entries.map(({ key }) => key).filter((key) => key.startsWith("custom/"));
}

async function valueAt(host: string, key: string, owner: string): Promise<string | null> {
  const response = await fetch(`${scenario.api(host)}/v1/entries/${key}?owner=${owner}`);
  return response.status === 200 ? await response.text() : null;
}

/** Frozen until `thaw`, which is called at the latest when the test is over: those after it need the proxy. */
function freeze(proxy: string): { readonly thaw: () => void } {
  const pid = scenario.pid(proxy);
  process.kill(pid, "SIGSTOP");
  let isFrozen = true;
  const thaw = (): void => {
    if (isFrozen && scenario.pid(proxy) === pid) process.kill(pid, "SIGCONT");
    isFrozen = false;
  };
  onTestFinished(thaw);
  return { thaw };
}

async function killAndAwait(member: string): Promise<void> {
  const killed = scenario.pid(member);
  process.kill(killed, "SIGKILL");
  await until("its new process", () => (scenario.pid(member) === killed ? null : true));
  await scenario.cluster.ready(member);
}

test("put with --wait applied returns 0 when all four others have it in force", async () => {
  const result = await put("site/motd", "hello", "30s");
  expect(result, text(result)).toMatchObject({ code: 0, stderr: "" });
  const view = viewOf(result);
  expect(view).toMatchObject({ key: "custom/site/motd", owner: "host-1", wait: "applied", missing: [] });
  expect(names(view.acks)).toEqual(OTHERS);
  process.stdout.write(`applied: ${view.acks.map(({ name, ms }) => `${name} ${ms} ms`).join(", ")}\n`);
  for (const host of ["host-1", "host-2", "host-3"])
    expect(await valueAt(host, "site/motd", "host-1")).toBe("hello");
  for (const proxy of ["proxy-1", "proxy-2"]) expect(await keysAt(proxy)).toEqual(["custom/site/motd"]);
});

test("with a frozen proxy put and delete return 3 and name it, the write stands, and it has it once it thaws", async () => {
  const { thaw } = freeze("proxy-2");
  const late = await put("site/late", "one", "4s");
  expect(late, text(late)).toMatchObject({ code: 3 });
  expect(viewOf(late)).toMatchObject({ missing: [{ name: "proxy-2", role: "proxy" }], exitCode: 3 });
  expect(names(viewOf(late).acks)).toEqual(["host-2", "host-3", "proxy-1"]);
  const deleted = await scenario.run([
    "entry",
    "delete",
    "site/motd",
    "--wait",
    "applied",
    "--timeout",
    "1s",
  ]);
  expect(deleted, text(deleted)).toMatchObject({ code: 3 });
  expect(deleted.stdout).toMatch(/missing: proxy proxy-2: .*\n.*the write stands/);
  expect(await valueAt("host-3", "site/late", "host-1")).toBe("one");

  // The event to wait for is its own answer.
  const again = put("site/late", "one", "1m");
  thaw();
  const both = [
    await again,
    await scenario.run(["entry", "delete", "site/motd", "--wait", "applied", "--timeout", "1m", "--json"]),
  ];
  for (const result of both) {
    expect(result, text(result)).toMatchObject({ code: 0 });
    expect(names(viewOf(result).acks)).toEqual(OTHERS);
  }
  for (const proxy of ["proxy-1", "proxy-2"]) expect(await keysAt(proxy)).toEqual(["custom/site/late"]);
});

test("a proxy that is killed in the middle of a wait answers when it is back", async () => {
  freeze("proxy-2");
  const waiting = put("site/killed", "two", "1m");
  await until("the write", () => valueAt("host-1", "site/killed", "host-1"));
  await killAndAwait("proxy-2");
  const result = await waiting;
  expect(result, text(result)).toMatchObject({ code: 0 });
  expect(names(viewOf(result).acks)).toEqual(OTHERS);
  expect(await keysAt("proxy-2")).toContain("custom/site/killed");
});

test("entries outlive kill -9 of their agent, what it deleted stays deleted, and all learn its new start", async () => {
  for (const key of ["kept", "gone"]) expect((await put(key, key, "30s", "host-2")).code).toBe(0);
  expect((await scenario.run(["entry", "delete", "gone"], "host-2")).code).toBe(0);
  await killAndAwait("host-2");
  expect(await valueAt("host-2", "kept", "host-2")).toBe("kept");
  const again = await put("kept", "kept", "1m", "host-2");
  expect(again, text(again)).toMatchObject({ code: 0 });
  expect(names(viewOf(again).acks)).toEqual(["host-1", "host-3", "proxy-1", "proxy-2"]);
  expect(await valueAt("host-3", "kept", "host-2")).toBe("kept");
  expect(await valueAt("host-3", "gone", "host-2")).toBeNull();
});

test("kill -9 in a burst of writes loses none that was answered", async () => {
  const api = scenario.api("host-3");
  const answered = new Map<string, string>();
  const enough = Promise.withResolvers<void>();
  const burst = async (writer: number): Promise<void> => {
    for (let count = 0; ; count += 1) {
      const [key, body] = [`burst/${writer}/${count % 20}`, `${writer} ${count}`];
      const response = await fetch(`${api}/v1/entries/${key}`, { method: "PUT", body });
      if (response.status !== 200) throw new Error(await response.text());
      answered.set(key, body);
      if (answered.size === 40) enough.resolve();
    }
  };
  const writers = Promise.allSettled([0, 1, 2, 3].map(burst));
  await enough.promise;
  await killAndAwait("host-3");
  await writers;
  const settled = await put("burst/end", "end", "1m", "host-3");
  expect(settled, text(settled)).toMatchObject({ code: 0 });
  // What was on its way when it died may be there or not: then the value is one later than the one that was answered.
  for (const [key, value] of answered) {
    const [writer, count] = value.split(" ").map(Number);
    const next = `${writer} ${(count ?? 0) + 20}`;
    for (const host of ["host-3", "host-1"])
      expect([value, next]).toContain(await valueAt(host, key, "host-3"));
  }
});
