// The image's health check, as the engine runs it: a process, by its exit code, against what a member's own port answers.

import { spawn } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, describe, expect, test } from "vitest";

const HEALTH_CHECK = fileURLToPath(new URL("./health-check.mjs", import.meta.url));

let folder: string;
let server: Server;
let url: string;
let answers: Record<string, unknown>;
beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), "grapevine-health-"));
  answers = {};
  server = createServer((request, response) => {
    const answer = answers[request.url ?? ""];
    response.writeHead(answer === undefined ? 404 : 200).end(JSON.stringify(answer ?? {}));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});
afterEach(() => {
  server.close();
  rmSync(folder, { recursive: true });
});

function check(): Promise<{ readonly code: number | null; readonly said: string }> {
  const child = spawn(process.execPath, [HEALTH_CHECK, folder], { stdio: ["ignore", "pipe", "inherit"] });
  let said = "";
  child.stdout.on("data", (chunk: Buffer) => (said += chunk.toString()));
  return new Promise((resolve) => child.once("close", (code) => resolve({ code, said })));
}

function writeReady(file: string, ready: object): void {
  writeFileSync(join(folder, file), JSON.stringify(ready));
}

describe("the health check", () => {
  test("fails where no member is ready, and says so", async () => {
    expect(await check()).toMatchObject({ code: 1, said: expect.stringContaining("no member is ready") });
  });

  test("passes for an agent whose API answers", async () => {
    writeReady("agent.json", { api: url });
    answers["/v1/health"] = { status: "ok" };
    expect(await check()).toMatchObject({ code: 0 });
  });

  test("passes for a proxy that serves, and fails for one that does not", async () => {
    writeReady("proxy.json", { admin: url });
    answers["/v1/status"] = { serving: true };
    expect(await check()).toMatchObject({ code: 0 });
    answers["/v1/status"] = { serving: false };
    expect(await check()).toMatchObject({ code: 1 });
  });

  test("fails when the ready file is of a member that was killed", async () => {
    writeReady("agent.json", { api: url });
    await new Promise((resolve) => server.close(resolve));
    expect(await check()).toMatchObject({ code: 1, said: expect.stringContaining("/v1/health") });
  });
});
