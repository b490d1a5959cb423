// Facts in, findings out: what a person reads of Node, the kernel, file limits and ports.

import { describe, expect, it } from "vitest";
import type { PortFacts } from "./gather-ports.ts";
import type { MachineFacts } from "./gather-process.ts";
import {
  filesNeed,
  judgeFiles,
  judgeGateBeside,
  judgeKernel,
  judgeNode,
  judgePeerSocket,
  judgePort,
} from "./judge-machine.ts";

const MACHINE: MachineFacts = {
  nodeVersion: "v24.21.0",
  platform: "linux",
  arch: "x64",
  kernel: "6.1.0",
  hasBootId: true,
  hasProcessTable: true,
  hasShell: true,
};
const RUNNING = { pid: 41, api: null };

describe("judgeNode() and judgeKernel()", () => {
  it("take what Grapevine runs on", () => {
    expect(judgeNode(MACHINE)).toMatchObject({ level: "ok", found: "v24.21.0 on linux x64", means: null });
    expect(judgeKernel(MACHINE, "agent").level).toBe("ok");
  });

  it("refuse an older Node, and a machine without /proc for an agent alone", () => {
    expect(judgeNode({ ...MACHINE, nodeVersion: "v22.1.0" })).toMatchObject({
      level: "fail",
      next: expect.stringContaining("npm ci"),
    });
    const bare = { ...MACHINE, platform: "darwin", kernel: null, hasBootId: false, hasProcessTable: false };
    expect(judgeKernel(bare, "agent")).toMatchObject({
      level: "fail",
      found: "darwin (its release is not told): without /proc/sys/kernel/random/boot_id, /proc/PID/stat",
    });
    expect(judgeKernel(bare, "proxy").level).toBe("warn");
  });
});

describe("judgeFiles()", () => {
  const bounds = { peers: 300, api: 512, clients: 20_000 };
  const agent = filesNeed("agent", bounds);
  const proxy = filesNeed("proxy", bounds);

  it("says what is enough and what that is made of, for each program", () => {
    expect(agent).toMatchObject({ need: 1_024, why: expect.stringContaining("300 peers, 512 connections") });
    expect(proxy.need).toBeGreaterThan(40_000);
    const files = judgeFiles({ of: "shell", limit: 1_024, open: null }, agent);
    expect(files).toMatchObject({
      level: "ok",
      found: expect.stringContaining("enough are 1024: 300 peers"),
    });
    expect(judgeFiles({ of: "shell", limit: Number.POSITIVE_INFINITY, open: null }, proxy).level).toBe("ok");
  });

  it("warns below that, and fails when next to nothing is left", () => {
    const low = judgeFiles({ of: "running", limit: 20_000, open: 32 }, proxy);
    expect(low).toMatchObject({
      level: "warn",
      found: expect.stringMatching(/^32 open of 20000 files of the proxy that runs/),
      next: expect.stringContaining(`LimitNOFILE=${proxy.need}`),
    });
    expect(judgeFiles({ of: "running", limit: 1_024, open: 900 }, agent).level).toBe("fail");
    expect(judgeFiles({ of: "shell", limit: 128, open: null }, agent).level).toBe("fail");
    expect(judgeFiles({ of: "shell", limit: null, open: null }, agent).level).toBe("warn");
  });
});

describe("judgePort()", () => {
  const free: PortFacts = {
    key: "listen",
    address: { host: "0.0.0.0", port: 7946 },
    code: null,
    holder: null,
  };
  const nginx = { pid: 812, command: "nginx: master process" };

  it("before the start: a free port is fine, one that another has is named with its pid and what to type", () => {
    expect(judgePort(free, null, "agent")).toMatchObject({
      level: "ok",
      found: 'listen = "0.0.0.0:7946" is free',
    });
    const taken = judgePort({ ...free, code: "EADDRINUSE", holder: nginx }, null, "agent");
    expect(taken).toMatchObject({
      level: "fail",
      found: 'listen = "0.0.0.0:7946" is taken by pid 812: nginx: master process',
      means: "the agent cannot start",
      next: 'end it (kill 812), or write another port: listen = "…"',
    });
    expect(judgePort({ ...free, code: "EADDRINUSE" }, null, "agent").found).toContain(
      "somebody else's process",
    );
    expect(judgePort({ ...free, code: "EACCES" }, null, "agent").next).toContain("from 1024");
    expect(judgePort({ ...free, code: "EADDRNOTAVAIL" }, null, "agent").means).toContain("no such address");
  });

  it("while it runs: its own listener is fine, a free port or another's is not", () => {
    const own = { ...free, code: "EADDRINUSE", holder: { pid: 41, command: "node agent" } };
    expect(judgePort(own, RUNNING, "agent")).toMatchObject({
      level: "ok",
      found: expect.stringContaining("held by the agent itself (pid 41)"),
    });
    expect(judgePort({ ...own, holder: null }, RUNNING, "agent").level).toBe("ok");
    expect(judgePort({ ...own, holder: nginx }, RUNNING, "agent").level).toBe("fail");
    expect(judgePort(free, RUNNING, "agent")).toMatchObject({
      level: "fail",
      means: expect.stringContaining("listens elsewhere"),
    });
    const any = { ...free, address: { host: "127.0.0.1", port: 0 } };
    expect(judgePort(any, RUNNING, "agent").level).toBe("ok");
  });
});

it("judgeGateBeside() and judgePeerSocket() warn of a neighbour that is not there, since it may come later", () => {
  const refused = { ok: false, code: "ECONNREFUSED" } as const;
  const gate = { host: "10.0.0.1", port: 7901 };
  expect(judgeGateBeside(gate, { ok: true, ms: 1 }).level).toBe("ok");
  expect(judgeGateBeside(gate, refused)).toMatchObject({
    level: "warn",
    means: "VMs of this host get no requests until its gate runs",
    next: expect.stringContaining("grapevine gate --config"),
  });
  expect(judgePeerSocket("gate", "/a/gate.sock", refused)).toMatchObject({
    level: "warn",
    found: "/a/gate.sock: no agent answers there (ECONNREFUSED)",
  });
  expect(judgePeerSocket("proxy", "/a/arms.sock", refused).found).toContain("no gate answers");
});
