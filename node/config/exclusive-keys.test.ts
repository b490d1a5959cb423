import { describe, expect, it } from "vitest";
import { parseAppFile } from "./app-file.ts";

const required = 'name = "hello"\ncommand = ["node", "server.js"]\n';

function parsed(text: string) {
  const read = parseAppFile("app.toml", required + text);
  if (!read.ok) throw new Error(read.error.map(({ key, message }) => `${key} ${message}`).join("; "));
  return read.value;
}

describe("exclusive, fence and lease", () => {
  it("are a handoff, and a lease of fifteen seconds, where nothing more is written", () => {
    expect(parsed("exclusive = true")).toMatchObject({ exclusive: true, deploy: { strategy: "handoff" } });
    expect(parsed('exclusive = true\nfence = "lease"')).toMatchObject({ fence: { leaseMs: 15_000 } });
    expect(parsed('fence = "lease"\nlease = "2s"\n[deploy]\nstrategy = "handoff"')).toMatchObject({
      fence: { leaseMs: 2_000 },
    });
    const plain = parsed("");
    expect(plain.deploy.strategy).toBe("rolling");
    expect(Object.keys(plain)).not.toContain("exclusive");
  });

  it.each([
    [
      'exclusive = true\n[deploy]\nstrategy = "rolling"',
      /deploy.strategy is "rolling", which runs two VMs at once.*write strategy = "handoff"/,
    ],
    [
      "exclusive = true\ncount = 2",
      /count is 2, and with exclusive = true two VMs never run at once: write count = 1/,
    ],
    ['exclusive = true\ngate = "off"', /gate is "off"/],
    ['exclusive = false\n[deploy]\nstrategy = "handoff"', /exclusive is false/],
    ['fence = "lease"', /fence is of an app that never runs twice.*exclusive = true/],
    ['exclusive = true\nlease = "5s"', /lease is of fence = "lease" alone/],
    ['exclusive = true\nfence = "lease"\nlease = "1s"', /lease must be/],
    ['exclusive = true\nfence = "disk"', /fence must be "person" or "lease"/],
    ['exclusive = "yes"', /exclusive must be true or false/],
  ])("refuses %j", (text, expected) => expect(() => parsed(text)).toThrow(expected));

  it.each([
    ['exclusive = true\nfence = "lease"\nlease = "1s"', "lease"],
    ['[[volumes]]\nname = "Data"\npath = "data"', "volumes[0].name"],
    ['[[volumes]]\nname = "data"\npath = "../data"', "volumes[0].path"],
  ])("says once what is wrong in %j", (text, key) => {
    const read = parseAppFile("app.toml", required + text);
    expect(read.ok ? [] : read.error.map((error) => error.key)).toEqual([key]);
  });
});
