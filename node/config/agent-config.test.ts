import { describe, expect, it } from "vitest";
import { describeConfigErrors } from "../../mesh/index.ts";
import { parseAgentConfig, readAgentConfig } from "./agent-config.ts";

const cluster = "12D3KooWPQdBJKQpFwwQaRdY8bwtdxVPkwdwNe3fxcKu941FCh6m";
const required = `name = "host-1"\nstate_dir = "state"\ncluster = "${cluster}"\n`;
const linux = { first: 32_768, last: 60_999 };

function errorsOf(text: string): string {
  const parsed = parseAgentConfig("host.toml", text, linux);
  return parsed.ok ? "no errors" : describeConfigErrors(parsed.error);
}

describe("parseAgentConfig()", () => {
  it("has a default for all but name, state_dir and cluster", () => {
    expect(parseAgentConfig("/etc/grapevine/host.toml", required, linux)).toEqual({
      ok: true,
      value: {
        name: "host-1",
        stateDir: "/etc/grapevine/state",
        cluster,
        listen: "0.0.0.0:7946",
        advertise: [],
        seeds: [],
        region: "default",
        labels: {},
        logLevel: "info",
        api: { host: "127.0.0.1", port: 7900 },
        vmPorts: { first: 20_000, last: 29_999 },
        vmAddress: "127.0.0.1",
        gate: null,
        replaceAfterMs: 60_000,
      },
    });
  });

  it("takes the address of VMs from what it advertises", () => {
    const parsed = parseAgentConfig("f", `${required}advertise = ["[fd00::1]:7946", "10.0.0.1:7946"]`, linux);
    expect(parsed).toMatchObject({ ok: true, value: { vmAddress: "fd00::1" } });
  });

  it.each([
    ['api = "127.0.0.1:0"', { api: { host: "127.0.0.1", port: 0 } }],
    ['api = "[::1]:7900"', { api: { host: "::1", port: 7900 } }],
    ['api = "localhost:7900"', { api: { host: "localhost", port: 7900 } }],
    ['vm_ports = "61000-61010"', { vmPorts: { first: 61_000, last: 61_010 } }],
    ['vm_address = "host-1.example"', { vmAddress: "host-1.example" }],
    ['vm_address = "fd00::2"', { vmAddress: "fd00::2" }],
    ['labels = { rack = "a1" }', { labels: { rack: "a1" } }],
    ['listen = "127.0.0.1:0"', { listen: "127.0.0.1:0" }],
  ])("accepts %s", (line, value) => {
    expect(parseAgentConfig("f", required + line, linux)).toMatchObject({ ok: true, value });
  });

  it.each([
    [
      'api = "0.0.0.0:7900"',
      'host.toml:4: api: must be a loopback address, for example api = "127.0.0.1:7900": anything wider needs TLS and a token, which is not built yet; found "0.0.0.0:7900"',
    ],
    ['api = "10.0.0.1:7900"', "must be a loopback address"],
    [
      'api = "127.0.0.1"',
      'host.toml:4: api: must be "host:port", for example api = "127.0.0.1:7900"; found "127.0.0.1"',
    ],
    [
      'vm_ports = "20000-40000"',
      "host.toml:4: vm_ports: must lie outside 32768-60999, this system's ports for outgoing connections",
    ],
    ['vm_ports = "60999-61000"', "must lie outside 32768-60999"],
    ['vm_ports = "80-90"', "must be a range of ports from 1024 to 65535"],
    ['vm_ports = "30000-20000"', "must be a range of ports"],
    ["vm_ports = 20000", "must be a range of ports"],
    ['vm_address = "10.0.0.1:80"', "must be the address at which proxies reach this host"],
    ['listen = "0.0.0.0:99999"', 'host.toml:4: listen: must be "host:port"'],
    [
      'seeds = ["10.0.0.1:0"]',
      'host.toml:4: seeds[0]: must be "host:port", for example seeds = ["10.0.0.1:7946"]; found "10.0.0.1:0"',
    ],
    ['seeds = "10.0.0.1:7946"', 'must be a list of "host:port"'],
    ['log_level = "loud"', "must be one of trace, debug, info, warn, error, silent"],
    ['labels = { "a b" = "x" }', "host.toml:4: labels.a b: must be a name of letters, digits and . _ / -"],
    ['state_dri = "x"', "unknown key `state_dri`: did you mean `state_dir`?"],
  ])("refuses %s", (line, expected) => expect(errorsOf(required + line)).toContain(expected));

  it("names what is missing, with an example", () => {
    expect(errorsOf("").split("\n")).toEqual([
      'host.toml:1: name: is missing; it must be lower-case letters, digits and inner hyphens, at most 48, for example name = "host-1"',
      'host.toml:1: state_dir: is missing; it must be the path of a folder, for example state_dir = "state"',
      'host.toml:1: cluster: is missing; it must be the id that `grapevine init` printed, for example cluster = "12D3KooW…"',
    ]);
  });
});

describe("readAgentConfig()", () => {
  it("says when there is no such file", () => {
    expect(readAgentConfig("/nonexistent.toml")).toMatchObject({ ok: false });
  });
});
