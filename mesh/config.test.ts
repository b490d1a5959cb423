import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { z } from "zod";
import {
  memberConfigShape,
  parseHostPort,
  publicMemberConfig,
  toMemberConfig,
  toMultiaddr,
} from "./config.ts";
import { describeConfigErrors, parseToml } from "./io/toml-file.ts";

describe("parseHostPort()", () => {
  it.each([
    ["127.0.0.1:80", { host: "127.0.0.1", port: 80 }],
    ["[::1]:0", { host: "::1", port: 0 }],
    ["host-1.example:65535", { host: "host-1.example", port: 65_535 }],
  ])("reads %s", (text, value) => expect(parseHostPort(text)).toEqual({ ok: true, value }));

  it.each([
    "",
    ":",
    "a",
    "a:",
    ":1",
    "a:65536",
    "a:1:2",
    "::1:80",
    "[::1]",
    "[1.2.3.4]:1",
    "[x]:1",
    "1.2.3:4",
    "999.1.1.1:80",
    "-a:1",
    "a b:1",
    "a/b:1",
    "a..b:1",
    `${"a".repeat(300)}:1`,
    "a:-1",
    "a:1x",
  ])("refuses %j", (text) => expect(parseHostPort(text).ok).toBe(false));

  it("never throws", () => {
    fc.assert(fc.property(fc.string(), (text) => typeof parseHostPort(text).ok === "boolean"));
  });
});

describe("toMultiaddr()", () => {
  it.each([
    ["10.0.0.1:7946", "/ip4/10.0.0.1/tcp/7946"],
    ["[fd00::1]:7946", "/ip6/fd00::1/tcp/7946"],
    ["host-1.example:7946", "/dns/host-1.example/tcp/7946"],
  ])("of %s is %s", (hostPort, multiaddr) => expect(toMultiaddr(hostPort)).toBe(multiaddr));
});

describe("a member's file", () => {
  const shape = z.strictObject(memberConfigShape);
  const required = [`name = "host-1"`, `state_dir = "state"`, `cluster = "12D3KooW${"A".repeat(44)}"`];
  const parse = (...lines: readonly string[]) => {
    return parseToml("/etc/agent.toml", [...required, ...lines].join("\n"), shape);
  };

  it("needs no more than who the member is, where its state is and which cluster it belongs to", () => {
    const parsed = parse();
    if (!parsed.ok) throw new Error(describeConfigErrors(parsed.error));
    const config = toMemberConfig(parsed.value, "/etc/agent.toml");
    expect(config).toMatchObject({ name: "host-1", stateDir: "/etc/state", seeds: [], region: "default" });
    expect(publicMemberConfig(config)).toEqual(config);
    expect(config).not.toHaveProperty("voters");
  });

  it("that names voters, as it once had to, is told where they are now", () => {
    const parsed = parse('voters = ["host-1"]');
    expect(!parsed.ok && describeConfigErrors(parsed.error)).toBe(
      "/etc/agent.toml:4: voters: is not set here any more: `grapevine voters` shows and changes them",
    );
  });
});
