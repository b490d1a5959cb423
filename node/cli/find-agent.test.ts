import { mkdirSync, mkdtempSync, rmSync, utimesSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { findAgents } from "./find-agent.ts";

const uid = process.getuid?.() ?? 0;
let devFolder: string;
beforeEach(() => {
  devFolder = mkdtempSync(path.join(tmpdir(), "grapevine-find-"));
});
afterEach(() => rmSync(devFolder, { recursive: true, force: true }));

function find(options: { api?: string; env?: Record<string, string>; uid?: number }): string {
  const found = findAgents({ api: options.api, env: options.env ?? {}, devFolder, uid: options.uid ?? uid });
  return found.ok ? found.value.map(({ address }) => address).join(" ") : `none: ${found.error}`;
}

function writeDev(pid: number, content: unknown, ageSeconds: number): void {
  const file = path.join(devFolder, `${pid}.json`);
  writeFileSync(file, typeof content === "string" ? content : JSON.stringify(content));
  const at = Date.now() / 1_000 - ageSeconds;
  utimesSync(file, at, at);
}

const cluster = (...apis: string[]) => ({
  agents: apis.map((api, index) => ({ name: `host-${index + 1}`, api, pid: process.pid })),
  proxies: [],
});

describe("findAgents()", () => {
  it("asks --api first, then GRAPEVINE_API, then the dev cluster", () => {
    writeDev(process.pid, cluster("http://127.0.0.1:3", "http://127.0.0.1:4"), 0);
    const env = { GRAPEVINE_API: "http://127.0.0.1:2" };
    expect(find({ api: "http://127.0.0.1:1", env })).toBe("http://127.0.0.1:1");
    expect(find({ env })).toBe("http://127.0.0.1:2");
    expect(find({ env: { GRAPEVINE_API: "" } })).toBe("http://127.0.0.1:3 http://127.0.0.1:4");
  });

  it.each([
    ["http://127.0.0.1:7900/", "http://127.0.0.1:7900"],
    ["127.0.0.1:7900", "http://127.0.0.1:7900"],
    ["/run/agent.sock", "/run/agent.sock"],
    ["./agent.sock", path.resolve("agent.sock")],
    ["state/agent.sock", path.resolve("state/agent.sock")],
  ])("takes %s", (api, expected) => expect(find({ api })).toBe(expected));

  it.each(["https://x", "ftp://x", "http://", "host-1", ""])("refuses %j and says what to write", (api) => {
    expect(find({ api })).toContain(
      "none: --api must be http://HOST:PORT or the path of a unix socket, for example",
    );
  });

  it("takes the newest cluster that runs", () => {
    writeDev(process.pid, cluster("http://127.0.0.1:5"), 100);
    writeDev(process.ppid, cluster("http://127.0.0.1:6"), 50);
    expect(find({})).toBe("http://127.0.0.1:6");
  });

  it("passes over clusters whose process is gone, and files that are none", () => {
    writeDev(2 ** 22 + 1, cluster("http://127.0.0.1:7"), 0);
    writeDev(process.ppid, "{", 1);
    writeDev(process.pid, cluster("http://127.0.0.1:8"), 2);
    writeFileSync(path.join(devFolder, "x.json"), "{}");
    mkdirSync(path.join(devFolder, "1.json"));
    expect(find({})).toBe("http://127.0.0.1:8");
  });

  it("believes no file of another user", () => {
    writeDev(process.pid, cluster("http://127.0.0.1:9"), 0);
    expect(find({ uid: uid + 1 })).toContain("none: no agent to ask");
  });

  it("says what was tried and what to do", () => {
    expect(find({})).toBe(
      "none: no agent to ask: --api and GRAPEVINE_API are not given, and no dev cluster runs. " +
        "Start one with `grapevine dev`, or say where an agent is: --api http://127.0.0.1:7900 or --api STATE_DIR/agent.sock",
    );
  });
});
