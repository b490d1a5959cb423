import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { parseHostPort, toMultiaddr } from "./config.ts";

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
