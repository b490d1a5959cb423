import { spawn } from "node:child_process";
import { once } from "node:events";
import { closeSync, existsSync, mkdtempSync, openSync, rmSync, watch, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";

// Processes start slowly on a busy machine; nothing here waits for time to pass.
vi.setConfig({ testTimeout: 60_000 });

const MAIN = fileURLToPath(new URL("./cli/main.ts", import.meta.url));

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "grapevine-main-"));
});
afterEach(() => rmSync(folder, { recursive: true }));

/** Resolves once the agent of this state folder serves. */
async function untilReady(stateDir: string): Promise<void> {
  const ready = join(stateDir, "agent.json");
  const { promise, resolve } = Promise.withResolvers<void>();
  const look = () => existsSync(ready) && resolve();
  const watcher = watch(stateDir, look);
  look();
  await promise;
  watcher.close();
}

describe.runIf(process.platform === "linux")("an agent whose log cannot be written", () => {
  it.each(["SIGTERM", "SIGHUP"] as const)("serves, and ends in order on %s", async (signal) => {
    const file = join(folder, "agent.toml");
    writeFileSync(
      file,
      [
        'name = "host-1"',
        'cluster = "12D3KooWPhnYosv8nr2WnbjDKAEW6WTDFuMERNdSgopAD3E5wE22"',
        'state_dir = "."',
        'listen = "127.0.0.1:0"',
        'api = "127.0.0.1:0"',
      ].join("\n"),
    );
    const full = openSync("/dev/full", "w");
    const agent = spawn(process.execPath, [MAIN, "agent", "--config", file], {
      stdio: ["ignore", "ignore", full],
      timeout: 30_000,
      killSignal: "SIGKILL",
    });
    closeSync(full);
    const ended = once(agent, "exit");
    await Promise.race([untilReady(folder), ended]);
    agent.kill(signal);
    expect(await ended).toEqual([0, null]);
  });
});
