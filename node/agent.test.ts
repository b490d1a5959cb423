// A start that cannot be: refused in one line, with nothing of it left running.

import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { type AddressInfo, createServer, type Server } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { lockState } from "./state-lock.ts";

// Processes start slowly on a busy machine; nothing here waits for time to pass.
vi.setConfig({ testTimeout: 60_000 });

const MAIN = fileURLToPath(new URL("./cli/main.ts", import.meta.url));
const CLUSTER = "12D3KooWPhnYosv8nr2WnbjDKAEW6WTDFuMERNdSgopAD3E5wE22";

let folder: string;
let taken: Server;
let takenPort: number;
beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), "grapevine-agent-"));
  taken = createServer();
  await new Promise<void>((resolve) => taken.listen(0, "127.0.0.1", resolve));
  takenPort = (taken.address() as AddressInfo).port;
});
afterEach(() => {
  taken.close();
  rmSync(folder, { recursive: true });
});

function startAgent(keys: Record<string, string>): { status: number | null; stderr: string } {
  const config = {
    name: "host-1",
    cluster: CLUSTER,
    state_dir: folder,
    listen: "127.0.0.1:0",
    api: "127.0.0.1:0",
    ...keys,
  };
  const lines = Object.entries(config).map(([key, value]) => `${key} = "${value}"`);
  const file = join(folder, "agent.toml");
  writeFileSync(file, `${lines.join("\n")}\n`);
  const { status, stderr } = spawnSync(process.execPath, [MAIN, "agent", "--config", file], {
    encoding: "utf8",
    // One that does not end by itself does not heed SIGTERM either. Before the test's own timeout.
    timeout: 30_000,
    killSignal: "SIGKILL",
  });
  return { status, stderr };
}

describe("grapevine agent", () => {
  it.each(["listen", "api"])("names the key whose port is taken: %s", (key) => {
    expect(startAgent({ [key]: `127.0.0.1:${takenPort}` })).toEqual({
      status: 2,
      stderr: `grapevine agent: ${key} = "127.0.0.1:${takenPort}": the port is taken: stop who has it, or choose another\n`,
    });
  });

  it("names an address that this machine does not have", () => {
    // TEST-NET-3 (RFC 5737): nobody's.
    expect(startAgent({ listen: "203.0.113.7:7946" })).toEqual({
      status: 2,
      stderr:
        'grapevine agent: listen = "203.0.113.7:7946": this machine has no such address: give one of its own\n',
    });
  });

  it("refuses a state folder that another process uses", () => {
    const lock = lockState(folder);
    const { status, stderr } = startAgent({});
    lock.release();
    expect(stderr).toMatch(/^grapevine agent: .* is in use by another process.*\n$/);
    expect(status).toBe(2);
  });

  it("leaves no member of the mesh behind when its memory as a voter cannot be read", () => {
    mkdirSync(join(folder, "voter"));
    writeFileSync(join(folder, "voter", "0123456789abcdef.sqlite"), "this is no database");
    const { status, stderr } = startAgent({});
    expect(stderr).toContain("0123456789abcdef.sqlite: ");
    expect(status).toBe(1);
  });

  it("refuses a state folder that cannot be made", () => {
    const { status, stderr } = startAgent({ state_dir: "/dev/null/state" });
    expect(stderr).toMatch(/^grapevine agent: state_dir = "\/dev\/null\/state": cannot be used: .*\n$/);
    expect(status).toBe(2);
  });
});
