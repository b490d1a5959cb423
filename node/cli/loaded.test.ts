// What a command loads is what it costs: it is there before the agent has answered. Counted, not timed.

import { execFile } from "node:child_process";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import path from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { afterEach, beforeEach, expect, it } from "vitest";
import { COMMAND } from "./testing/commands.ts";

const MAIN = fileURLToPath(new URL("main.ts", import.meta.url));
const COMMANDS = new URL("commands/", import.meta.url);
/** These have more to do than to ask: a folder to pack, a cluster's root key to make, a machine to look at. */
const NOT_ONLY_ASKING = ["deploy.ts", "init.ts", "doctor.ts", "debug.ts"];

let folder = "";
let server: Server;
let api = "";

beforeEach(async () => {
  folder = mkdtempSync(path.join(tmpdir(), "grapevine-loaded-"));
  server = createServer((request, response) => response.end(request.url === "/v1/apps" ? "[]" : "{}"));
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  api = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});

afterEach(() => {
  server.close();
  rmSync(folder, { recursive: true });
});

interface Loaded {
  readonly exitCode: number;
  readonly packages: readonly string[];
  /** Files of ours. */
  readonly own: readonly string[];
  /** Of Node, by its own names. */
  readonly builtin: readonly string[];
}

/** Runs Node and notes which files it loads. */
async function loadedBy(...args: readonly string[]): Promise<Loaded> {
  const file = path.join(folder, "loaded.json");
  const watch = `
    import { writeFileSync } from "node:fs";
    import { registerHooks } from "node:module";
    const urls = new Set();
    registerHooks({ load: (url, context, next) => (urls.add(url), next(url, context)) });
    const builtin = () => process.moduleLoadList.map((name) => name.replace(/^NativeModule /, ""));
    process.on("exit", () => writeFileSync(${JSON.stringify(file)}, JSON.stringify([[...urls], builtin()])));`;
  const watching = `data:text/javascript,${encodeURIComponent(watch)}`;
  const exitCode = await new Promise<number>((resolve) => {
    const child = execFile(process.execPath, ["--import", watching, ...args], () =>
      resolve(child.exitCode ?? -1),
    );
  });
  const [urls, builtin] = JSON.parse(readFileSync(file, "utf8")) as [string[], string[]];
  const files = urls.filter((url) => url.startsWith("file:")).map((url) => fileURLToPath(url));
  const inPackage = /.*[/\\]node_modules[/\\]((?:@[^/\\]+[/\\])?[^/\\]+)/;
  const packages = new Set(files.flatMap((name) => inPackage.exec(name)?.[1] ?? []));
  const own = files.filter((name) => !inPackage.test(name));
  return { exitCode, packages: [...packages].sort(), own, builtin };
}

/** Loads files of ours, and ends. */
function loading(files: readonly URL[]): readonly string[] {
  const program = path.join(folder, "load.mjs");
  writeFileSync(program, files.map(({ href }) => `import ${JSON.stringify(href)};\n`).join(""));
  return [program];
}

const SECOND_CLIENT = "internal/deps/undici/undici";

it("a command that asks an agent loads commander, zod and few files of ours", async () => {
  const loaded = await loadedBy(MAIN, "status", "--api", api);
  expect(loaded.exitCode).toBe(0);
  expect(loaded.packages).toEqual(["commander", "zod"]);
  expect(loaded.own.length).toBeLessThanOrEqual(55);
  expect(loaded.builtin).not.toContain(SECOND_CLIENT);
});

it("help loads nothing of what it tells of", async () => {
  const loaded = await loadedBy(MAIN, "status", "--help");
  expect(loaded.exitCode).toBe(0);
  expect(loaded.packages).toEqual(["commander"]);
  expect(loaded.own.length).toBeLessThanOrEqual(25);
});

it("no command that only asks has need of a package but zod", async () => {
  const asking = readdirSync(COMMANDS).filter((name) => !NOT_ONLY_ASKING.includes(name));
  expect(asking).toContain("rollout.ts");
  const loaded = await loadedBy(...loading(asking.map((name) => new URL(name, COMMANDS))));
  expect(loaded.exitCode).toBe(0);
  expect(loaded.packages).toEqual(["zod"]);
  expect(loaded.builtin).not.toContain(SECOND_CLIENT);
});

it("deploy loads what reads an app file and packs a folder, and nothing of a member", async () => {
  const loaded = await loadedBy(...loading([new URL("deploy.ts", COMMANDS)]));
  expect(loaded.exitCode).toBe(0);
  const known = ["eslint-visitor-keys", "ignore", "msgpackr", "tar", "toml-eslint-parser", "zod"];
  // What msgpackr adds where its native part is installed.
  const optional = [
    "@msgpackr-extract",
    "detect-libc",
    "msgpackr-extract",
    "node-gyp-build-optional-packages",
  ];
  const isOptional = (name: string) => optional.some((one) => name.startsWith(one));
  expect(loaded.packages.filter((name) => !isOptional(name))).toEqual(known);
  expect(loaded.own.length).toBeLessThanOrEqual(65);
});

it("a gate and a proxy load one HTTP client beside Node's own, not two", async () => {
  const parts = ["main.ts", "gate-main.ts"].map((name) =>
    pathToFileURL(path.resolve(path.dirname(MAIN), "../../proxy-agent", name)),
  );
  const loaded = await loadedBy(...loading(parts));
  expect(loaded.exitCode).toBe(0);
  expect(loaded.packages).toContain("undici");
  expect(loaded.builtin).not.toContain(SECOND_CLIENT);
});

it.each([
  ["in the user's own folder", () => path.join(folder, "cache"), true],
  ["nowhere of ours where no folder can be made", () => "/proc/none", false],
  ["nowhere of ours where the folder is no whole path", () => "cache", false],
])("compiled code is kept %s", async (_what, cache, isKept) => {
  const { NODE_COMPILE_CACHE: _, ...env } = process.env;
  const kept = path.join(folder, "cache", "grapevine");
  const told = { ...env, XDG_CACHE_HOME: cache(), TMPDIR: folder };
  await new Promise<void>((resolve, reject) =>
    execFile(process.execPath, [COMMAND, "--help"], { env: told, cwd: folder }, (error) =>
      error === null ? resolve() : reject(error),
    ),
  );
  expect(existsSync(kept) && readdirSync(kept).length > 0).toBe(isKept);
});
