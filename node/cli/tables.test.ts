import { describe, expect, it } from "vitest";
import { memberName, vmName } from "../../mesh/index.ts";
import { fakeRollout, fakeView } from "../api/testing/fake-agent.ts";
import type { MemberRow } from "../api/views.ts";
import type { ProxyAckView, VmView } from "../deploy/app-view.ts";
import type { ProxyTable } from "./answers.ts";
import { formatDuration, formatTable } from "./table.ts";
import { appsTable, appText, membersTable, routesText, vmsTable } from "./tables.ts";

const running: VmView = {
  vm: vmName("hello-v1-1"),
  app: fakeView().app,
  release: 1,
  host: memberName("host-1"),
  phase: "serving",
  state: "running",
  health: "healthy",
  address: "127.0.0.1:20104",
  reason: null,
  restarts: 0,
};
const upToDate: ProxyAckView = {
  proxy: memberName("proxy-1"),
  applied: 7,
  verified: 7,
  inFlight: 0,
  nack: null,
  current: true,
};

function text(lines: readonly string[]): string {
  return lines.map((line) => `${line}\n`).join("");
}

describe("membersTable()", () => {
  it("is aligned", () => {
    const host: MemberRow = {
      name: memberName("host-1"),
      role: "host",
      api: "http://127.0.0.1:7900",
      http: null,
      pid: 41,
      state: "alive",
      forSeconds: 7,
      why: "",
      connected: true,
      region: "default",
      voter: true,
      cordoned: false,
      draining: false,
      incarnation: 1,
      addresses: [],
    };
    const proxy = {
      ...host,
      name: memberName("proxy-10"),
      role: "proxy",
      api: null,
      pid: null,
      state: "dead",
      why: "it does not answer, as 2 members found",
      region: null,
      voter: false,
    } as const;
    expect(membersTable([host, proxy])).toBe(
      text([
        "NAME      ROLE   STATE  FOR    PID  API                    HTTP  REGION   VOTER  WHY",
        "host-1    host   alive  7.0 s  41   http://127.0.0.1:7900  -     default  yes",
        "proxy-10  proxy  dead   7.0 s  -    -                      -     -        -      it does not answer, as 2 members found",
      ]),
    );
  });
});

describe("vmsTable()", () => {
  it("shows what is wanted beside what is so", () => {
    const failed: VmView = {
      ...running,
      vm: vmName("hello-v2-1"),
      release: 2,
      phase: null,
      state: "failed",
      health: "unknown",
      address: null,
      reason: "node: not found",
      restarts: 3,
    };
    expect(vmsTable([running, failed])).toBe(
      text([
        "VM          APP    RELEASE  HOST    WANTED   STATE    HEALTH   ADDRESS          RESTARTS  REASON",
        "hello-v1-1  hello  v1       host-1  serving  running  healthy  127.0.0.1:20104  0",
        "hello-v2-1  hello  v2       host-1  gone     failed   unknown  -                3         node: not found",
      ]),
    );
  });

  it("says when there is none", () => expect(vmsTable([])).toBe("no VM runs\n"));
});

describe("appsTable()", () => {
  it("names the proxies that are behind", () => {
    const behind = { ...upToDate, proxy: memberName("proxy-2"), current: false };
    const view = fakeView({ epoch: 7, vms: [running], proxies: [upToDate, behind], rollout: fakeRollout() });
    expect(appsTable([view])).toBe(
      text([
        "APP    RELEASE  EPOCH  VMS          WEIGHTS  ROLLOUT           BEHIND   HOSTNAMES",
        "hello  v1       7      1/1 healthy  v1=100   hello-v2 running  proxy-2  hello.localhost",
      ]),
    );
  });

  it("says how to begin", () => expect(appsTable([])).toContain("grapevine deploy FILE"));
});

describe("appText()", () => {
  it("names whom a step waits for, and since when", () => {
    const view = fakeView({
      epoch: 7,
      vms: [running],
      proxies: [
        upToDate,
        { ...upToDate, proxy: memberName("proxy-2"), applied: 6, verified: 6, inFlight: 2, current: false },
      ],
      leftovers: [{ who: memberName("proxy-2"), what: "to drain hello-v0-1", forMs: 61_000 }],
      rollout: fakeRollout({
        history: [
          {
            number: 1,
            kind: "start",
            vms: [vmName("hello-v2-1")],
            waitedMs: 212,
            outcome: "healthy after 210 ms",
          },
        ],
        step: {
          number: 2,
          kind: "serve",
          vms: [vmName("hello-v2-1")],
          forMs: 12_000,
          acks: { have: 1, need: 2, slowest: { proxy: memberName("proxy-1"), ms: 9 } },
          waitingFor: [{ who: memberName("proxy-2"), what: "to acknowledge epoch 7", forMs: 12_000 }],
        },
      }),
    });
    expect(appText(view)).toBe(
      text([
        "hello: v1, epoch 7, weights v1=100, hello.localhost",
        "",
        "rollout hello-v2: deploy v1 to v2: running, driven by host-1",
        "  step 1 start hello-v2-1: healthy after 210 ms (212 ms)",
        "  step 2 serve hello-v2-1 … acks 1/2, slowest proxy-1 9 ms (12 s)",
        "    waits for proxy-2 to acknowledge epoch 7 since 12 s",
        "",
        "left over: proxy-2 to drain hello-v0-1 since 61 s",
        "",
        "VM          APP    RELEASE  HOST    WANTED   STATE    HEALTH   ADDRESS          RESTARTS  REASON",
        "hello-v1-1  hello  v1       host-1  serving  running  healthy  127.0.0.1:20104  0",
        "",
        "PROXY    APPLIED  VERIFIED  IN FLIGHT  STANDS",
        "proxy-1  7        7         0          up to date",
        "proxy-2  6        6         2          behind: epoch 7 is in force",
      ]),
    );
  });

  it("says what there is not", () => {
    const none = fakeView({ release: null, weights: {}, deleted: true });
    expect(appText(none)).toBe(
      "hello: destroyed, epoch 1, weights -, hello.localhost\n\nno rollout yet\n\nno VM runs\n\nno proxy is registered\n",
    );
  });

  it("says what starts an app whose last VM a person stopped, and not that it sleeps", () => {
    const stopped = fakeRollout({ kind: "stop", state: "succeeded", step: null });
    const text = appText(fakeView({ vms: [], rollout: stopped, idle: { afterMs: 5_000, awake: null } }));
    expect(text).toContain("stopped: requests get 503; `grapevine scale hello 1` starts a VM\n");
    expect(text).not.toContain("sleeps");
  });
});

describe("routesText()", () => {
  const endpoint = {
    vm: "hello-v2-1",
    release: 2,
    host: "host-1",
    address: "127.0.0.1:20104",
    healthy: true,
  };
  const route = { hostname: "hello.localhost", app: "hello", epoch: 7, endpoints: [endpoint] };
  const table = (name: string, routes: ProxyTable["routes"]): ProxyTable => ({
    proxy: memberName(name),
    reason: routes === null ? "not connected" : null,
    routes,
  });

  it("shows endpoints with their release, and who is behind, drains or is silent", () => {
    const stale = { ...route, epoch: 6, endpoints: [{ ...endpoint, vm: "hello-v1-1", release: 1 }] };
    const tables = [
      table("proxy-1", {
        routes: [route, { hostname: "b.localhost", app: "b", epoch: 1, endpoints: [] }],
        draining: [],
      }),
      table("proxy-2", { routes: [stale], draining: [{ vm: "hello-v0-1", requests: 3 }] }),
      table("proxy-3", null),
    ];
    expect(routesText(tables)).toBe(
      text([
        "HOSTNAME         APP    EPOCH  RELEASE  VM          HOST    ADDRESS          HEALTH   PROXIES",
        "hello.localhost  hello  7      v2       hello-v2-1  host-1  127.0.0.1:20104  healthy  1/3",
        "b.localhost: b has no endpoint",
        "proxy-2 is behind: it does not route b.localhost yet",
        "proxy-2 is behind: hello at epoch 6, others at 7",
        "proxy-2 drains hello-v0-1: 3 requests in flight",
        "proxy-3 does not answer: not connected",
      ]),
    );
  });

  it("says when nothing is routed", () => expect(routesText([])).toBe("nothing is routed\n"));
});

describe("formatTable()", () => {
  it("keeps a cell on its line, and escapes out of the terminal", () => {
    expect(formatTable(["A", "B"], [["x\ny\u001b[31m", "z"]])).toBe("A         B\nx y [31m  z\n");
  });
});

describe("formatDuration()", () => {
  it.each([
    [-1, "0 ms"],
    [14.4, "14 ms"],
    [1_234, "1.2 s"],
    [61_000, "61 s"],
    [600_000, "10 min"],
    [36_000_000, "10 h"],
  ])("of %d is %s", (ms, expected) => expect(formatDuration(ms)).toBe(expected));
});
