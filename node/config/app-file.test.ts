import { describe, expect, it } from "vitest";
import { describeConfigErrors } from "../../mesh/index.ts";
import { parseAppFile, readAppFile } from "./app-file.ts";

const required = 'name = "hello"\ncommand = ["node", "server.js"]\n';

function errorsOf(text: string): string {
  const parsed = parseAppFile("app.toml", text);
  return parsed.ok ? "no errors" : describeConfigErrors(parsed.error);
}

describe("parseAppFile()", () => {
  it("reads every key of the reference", () => {
    const text = `
name = "hello"
hostnames = ["hello.localhost", "www.hello.example"]
count = 2
command = ["node", "server.js"]
[env]
GREETING = "hi"
WORKERS = 4
DEBUG = false
[[checks]]
type = "http"
path = "/healthz"
interval = "500ms"
timeout = "300ms"
grace_period = "5s"
[[checks]]
type = "tcp"
[stop]
signal = "SIGINT"
timeout = "1m"
[deploy]
strategy = "rolling"
drain_timeout = "0s"
wait_timeout = "1h"
`;
    expect(parseAppFile("app.toml", text)).toEqual({
      ok: true,
      value: {
        name: "hello",
        hostnames: ["hello.localhost", "www.hello.example"],
        count: 2,
        command: ["node", "server.js"],
        env: { GREETING: "hi", WORKERS: "4", DEBUG: "false" },
        checks: [
          { type: "http", path: "/healthz", intervalMs: 500, timeoutMs: 300, gracePeriodMs: 5_000 },
          { type: "tcp", path: "/", intervalMs: 1_000, timeoutMs: 1_000, gracePeriodMs: 10_000 },
        ],
        stop: { signal: "SIGINT", timeoutMs: 60_000 },
        deploy: { strategy: "rolling", drainTimeoutMs: 0, waitTimeoutMs: 3_600_000 },
      },
    });
  });

  it("reads the keys of each strategy", () => {
    const rolling = '[deploy]\nmax_surge = 0.5\nmax_unavailable = 1\nmin_healthy_time = "2s"\n';
    expect(parseAppFile("app.toml", `${required}count = 4\n${rolling}`)).toMatchObject({
      value: { deploy: { strategy: "rolling", maxSurge: 0.5, maxUnavailable: 1, minHealthyMs: 2_000 } },
    });
    const quorum = '[deploy]\nack_quorum = 0.5\nexclude_silent_after = "30s"\n';
    expect(parseAppFile("app.toml", required + quorum)).toMatchObject({
      value: { deploy: { ackQuorum: 0.5, excludeSilentAfterMs: 30_000 } },
    });
    const migrating = '[deploy]\nrelease_command = ["node", "migrate.js"]\n';
    expect(parseAppFile("app.toml", required + migrating)).toMatchObject({
      value: { deploy: { releaseCommand: ["node", "migrate.js"], releaseCommandTimeoutMs: 300_000 } },
    });
    const all = parseAppFile("app.toml", `${required}[deploy]\nack_quorum = "all"\n`);
    expect(all.ok && "ackQuorum" in all.value.deploy).toBe(false);
    const bluegreen = '[deploy]\nstrategy = "bluegreen"\napproval = "manual"\nkeep_old = "1h"\n';
    expect(parseAppFile("app.toml", required + bluegreen)).toMatchObject({
      value: { deploy: { strategy: "bluegreen", approval: "manual", keepOldMs: 3_600_000 } },
    });
    const canary = '[deploy]\nstrategy = "canary"\n';
    expect(parseAppFile("app.toml", required + canary)).toMatchObject({
      value: { deploy: { canary: { weights: [5, 25, 50], bakeMs: 30_000, minRequests: 50 } } },
    });
    const table = '[canary]\nweights = [1, 10]\nbake = "5s"\nmin_requests = 20\n';
    expect(parseAppFile("app.toml", required + canary + table)).toMatchObject({
      value: { deploy: { canary: { weights: [1, 10], bakeMs: 5_000, minRequests: 20 } } },
    });
  });

  it.each([
    [
      "[canary]\nweights = [5]\n",
      'app.toml:3: canary: is of strategy = "canary" alone: remove it, or write strategy = "canary" below [deploy]; found {"weights":[5]}',
    ],
    [
      '[deploy]\nstrategy = "canary"\n[canary]\nweights = [25, 5]\n',
      "app.toml:6: canary.weights: must be 1 to 10 whole percents from 1 to 99, each higher than the one before, for example weights = [5, 25, 50]; found [25,5]",
    ],
    [
      '[deploy]\nkeep_old = "1h"\n',
      'app.toml:4: deploy.keep_old: is of strategy = "bluegreen" alone: remove it, or write strategy = "bluegreen"',
    ],
    [
      '[deploy]\nstrategy = "immediate"\nmax_surge = 2\n',
      'app.toml:5: deploy.max_surge: is of strategy = "rolling" alone: remove it, or write strategy = "rolling"',
    ],
    [
      "count = 2\n[deploy]\nmax_unavailable = 2\n",
      "app.toml:5: deploy.max_unavailable: leaves none of 2 VMs to serve: write at most max_unavailable = 1",
    ],
    [
      "[deploy]\nmax_unavailable = 1\n",
      "app.toml:4: deploy.max_unavailable: leaves none of 1 VMs to serve: remove it, or raise count",
    ],
    [
      "[deploy]\nmax_surge = 0\n",
      "app.toml:4: deploy.max_surge: is 0, and no VM may be missing (of 1): no VM could be replaced; write max_surge = 1, or a larger max_unavailable",
    ],
    [
      'gate = "off"\n[deploy]\nexclude_silent_after = "5s"\n',
      'app.toml:5: deploy.exclude_silent_after: needs a gate, which refuses what a silent proxy still sends: remove it, or gate = "off"',
    ],
    [
      '[deploy]\nexclude_silent_after = "5m"\n',
      "app.toml:4: deploy.exclude_silent_after: must be shorter than wait_timeout, which is 5m: the rollout goes back then",
    ],
    [
      "[deploy]\nack_quorum = 0\n",
      'app.toml:4: deploy.ack_quorum: must be "all" or a share of the proxies above 0 and up to 1, for example ack_quorum = 0.5',
    ],
    [
      "[deploy]\nmax_surge = 1.5\n",
      "app.toml:4: deploy.max_surge: must be a count of VMs from 0 to 100, or a share of them between 0 and 1, for example max_surge = 1 or max_surge = 0.25",
    ],
    [
      `hostnames = ["${"a.".repeat(124)}com"]\n[deploy]\nstrategy = "bluegreen"\n`,
      `app.toml:3: hostnames: ${"a.".repeat(124)}com leaves no room for its preview name: use at most 245 characters with strategy = "bluegreen"`,
    ],
  ])("says of %j what to write instead", (text, expected) => {
    expect(errorsOf(required + text)).toContain(expected);
  });

  it("needs only name and command", () => {
    expect(parseAppFile("app.toml", required)).toEqual({
      ok: true,
      value: {
        name: "hello",
        hostnames: ["hello.localhost"],
        count: 1,
        command: ["node", "server.js"],
        env: {},
        checks: [],
        stop: { signal: "SIGTERM", timeoutMs: 10_000 },
        deploy: { strategy: "rolling", drainTimeoutMs: 30_000, waitTimeoutMs: 300_000 },
      },
    });
  });

  it.each([
    [
      "",
      'app.toml:1: name: is missing; it must be lower-case letters, digits and inner hyphens, at most 48, for example name = "hello"',
    ],
    [
      "",
      'app.toml:1: command: is missing; it must be a list with the program and its arguments, at most 64, for example command = ["node", "server.js"]',
    ],
    [
      'name = "Hello"',
      'app.toml:1: name: must be lower-case letters, digits and inner hyphens, at most 48, for example name = "hello"; found "Hello"',
    ],
    [
      'command = "node server.js"',
      'app.toml:1: command: must be a list with the program and its arguments, at most 64, for example command = ["node", "server.js"]; found "node server.js"',
    ],
    ["command = []", "app.toml:1: command: must be a list with the program and its arguments"],
    ['command = [""]', "app.toml:1: command: must be a list with the program and its arguments"],
    [
      'command = ["node", 8080]',
      'app.toml:1: command[1]: must be a text of at most 4096 characters, for example command = ["node", "server.js"]; found 8080',
    ],
    ['command = ["a\\u0000b"]', "app.toml:1: command[0]: must be a text"],
    [
      `${required}count = "two"`,
      'app.toml:3: count: must be a whole number from 1 to 100, for example count = 2; found "two"',
    ],
    [
      `${required}count = 0`,
      "app.toml:3: count: must be a whole number from 1 to 100, for example count = 2; found 0",
    ],
    [`${required}count = 1.5`, "found 1.5"],
    [`${required}count = nan`, "found NaN"],
    [`${required}cuont = 2`, "app.toml:3: cuont: unknown key `cuont`: did you mean `count`?"],
    [
      `${required}hostnames = ["Hello.localhost"]`,
      'app.toml:3: hostnames[0]: must be a lower-case DNS name, for example hostnames = ["hello.localhost"]; found "Hello.localhost"',
    ],
    [
      `${required}hostnames = ["a.example", "a.example"]`,
      "app.toml:3: hostnames: must name each hostname once: remove the double",
    ],
    [`${required}hostnames = []`, "app.toml:3: hostnames: must be a list of 1 to 32 DNS names"],
    [`${required}hostnames = ["a_b"]`, "must be a lower-case DNS name"],
    [`${required}hostnames = ["a.example:80"]`, "must be a lower-case DNS name"],
    [`${required}hostnames = ["*.example"]`, "must be a lower-case DNS name"],
    [
      `${required}env = { A = [1] }`,
      'app.toml:3: env.A: must be a text, a number or a boolean, for example GREETING = "hi"',
    ],
    [
      `${required}[env]\n"a b" = "x"`,
      'app.toml:4: env.a b: must be a name of letters, digits and _, for example GREETING; found "a b"',
    ],
    [
      `${required}[env]\nPORT = 80`,
      "app.toml:4: env.PORT: must be another name: HOST, PORT and GRAPEVINE_… are set by Grapevine itself",
    ],
    [
      `${required}[env]\nA = "${"x".repeat(8_193)}"`,
      "app.toml:4: env.A: must have at most 8192 characters: have the app fetch what is longer",
    ],
    [`${required}[env]\nA = "a\\u0000b"`, "app.toml:4: env.A: must have no NUL characters"],
    [
      `${required}[env]\nA = 9007199254740993`,
      "app.toml:4: env.A: is a number that loses digits: write it as a text",
    ],
    [`${required}env = 3`, "app.toml:3: env: must be a table of texts, numbers or booleans"],
    [
      `${required}[[checks]]\npath = "/"`,
      'app.toml:3: checks[0].type: is missing; it must be "http" or "tcp", for example type = "http"',
    ],
    [
      `${required}[[checks]]\ntype = "tcp"\npath = "/"`,
      'app.toml:5: checks[0].path: must not be given for type = "tcp"',
    ],
    [
      `${required}[[checks]]\ntype = "http"\npath = "healthz"`,
      'app.toml:5: checks[0].path: must start with / and have no spaces, for example path = "/healthz"',
    ],
    [
      `${required}[[checks]]\ntype = "http"\ninterval = 500`,
      'app.toml:5: checks[0].interval: must be a duration from 50ms to 1h with its unit (ms, s, m or h), for example interval = "500ms"; found 500',
    ],
    [
      `${required}[checks]\ntype = "http"`,
      "app.toml:3: checks: must be at most 8 tables, for example [[checks]]",
    ],
    [
      `${required}stop = "SIGTERM"`,
      'app.toml:3: stop: must be a table, for example [stop] and below it signal = "SIGTERM"',
    ],
    [`${required}[stop]\nsignal = "TERM"`, 'found "TERM"'],
    [
      `${required}[deploy]\nstrategy = "bluegren"`,
      'app.toml:4: deploy.strategy: must be one of rolling, immediate, bluegreen, canary, handoff, for example strategy = "rolling"; found "bluegren"',
    ],
    [
      `${required}[deploy]\nwait_timeout = "5 minutes"`,
      'app.toml:4: deploy.wait_timeout: must be a duration from 1s to 24h with its unit (ms, s, m or h), for example wait_timeout = "5m"; found "5 minutes"',
    ],
    [
      `${required}[deploy]\nrelease_command = "migrate"`,
      'app.toml:4: deploy.release_command: must be a list with the program and its arguments, at most 64, for example release_command = ["node", "migrate.js"]; found "migrate"',
    ],
    [
      `${required}[deploy]\nrelease_command_timeout = "5m"`,
      'app.toml:4: deploy.release_command_timeout: is of release_command alone: remove it, or write release_command = ["node", "migrate.js"]',
    ],
    [
      `${required}[deploy]\nrelease_command = ["x"]\nrelease_command_timeout = "2h"`,
      "app.toml:5: deploy.release_command_timeout: must be a duration from 1s to 1h",
    ],
    [
      `${required}[deploy]\ndrain_timout = "5s"`,
      "app.toml:4: deploy.drain_timout: unknown key `drain_timout`: did you mean `drain_timeout`?",
    ],
  ])("refuses %j", (text, expected) => expect(errorsOf(text)).toContain(expected));

  it("refuses settings that would not travel with the app's record", () => {
    const argument = `"${"x".repeat(4_096)}"`;
    const errors = errorsOf(`name = "hello"\ncommand = [${argument}, ${argument}]`);
    expect(errors).toMatch(
      /^app\.toml:1: has \d+ bytes of settings beside env; at most 8192 travel with an app/,
    );
  });

  it("refuses more env than a VM is given, and says no value of it", () => {
    const lines = ["A", "B", "C", "D", "E"].map((name) => `${name} = "${"hunter2".repeat(1_100)}"`);
    const errors = errorsOf(`${required}[env]\n${lines.join("\n")}`);
    expect(errors).toMatch(/^app\.toml:1: has \d+ bytes of env; at most 32768 are given to a VM/);
    for (const wrong of ['A = ["hunter2"]', 'A = "hunter2\\u0000"', `A = "${"hunter2".repeat(1_200)}"`])
      expect(errorsOf(`${required}[env]\n${wrong}`)).not.toContain("hunter2");
    expect(errorsOf(`${required}env = "hunter2"`)).not.toContain("hunter2");
  });
});

describe("readAppFile()", () => {
  it("says when there is no such file", () => {
    const read = readAppFile("/nonexistent/app.toml");
    expect(read.ok ? "" : describeConfigErrors(read.error)).toBe(
      "/nonexistent/app.toml:1: no such file: check the path",
    );
  });
});
