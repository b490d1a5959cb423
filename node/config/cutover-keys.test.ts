import { describe, expect, it } from "vitest";
import { parseAppFile } from "./app-file.ts";
import { refusalsOf } from "./testing/refusals.ts";

const required = 'name = "hello"\ncommand = ["node", "server.js"]\n[deploy]\n';

describe("cutover keys", () => {
  it("say what each client may count on", () => {
    expect(parseAppFile("app.toml", `${required}cutover = "sticky"\n`)).toMatchObject({
      value: { deploy: { strategy: "rolling", cutover: "sticky" } },
    });
    const pinned = 'strategy = "bluegreen"\ncutover = "pinned"\npin_max_age = "1h"\nkeep_old = "2h"\n';
    expect(parseAppFile("app.toml", required + pinned)).toMatchObject({
      value: { deploy: { cutover: "pinned", pinMaxAgeMs: 3_600_000, keepOldMs: 7_200_000 } },
    });
    const plain = parseAppFile("app.toml", required);
    expect(plain.ok && "cutover" in plain.value.deploy).toBe(false);
  });

  it.each([
    [
      'cutover = "slow"\n',
      'app.toml:4: deploy.cutover: must be one of fast, atomic, sticky, pinned, for example cutover = "sticky"; found "slow"',
    ],
    [
      'cutover = "atomic"\n',
      'app.toml:4: deploy.cutover: is "atomic", and strategy = "rolling" has old and new VMs serve side by side: write strategy = "bluegreen", "immediate" or "canary"; found "atomic"',
    ],
    [
      'cutover = "pinned"\n',
      'app.toml:4: deploy.cutover: is "pinned", which keeps all old VMs beside all new ones: write strategy = "bluegreen" or strategy = "immediate"; found "pinned"',
    ],
    [
      'cutover = "sticky"\npin_max_age = "1h"\n',
      'app.toml:5: deploy.pin_max_age: is of cutover = "pinned" alone: remove it, or write cutover = "pinned"; found "1h"',
    ],
    [
      'strategy = "bluegreen"\ncutover = "pinned"\nkeep_old = "1m"\n',
      'app.toml:6: deploy.keep_old: must not be shorter than pin_max_age, which is 10m: the old VMs serve pages for so long; found "1m"',
    ],
    [
      'strategy = "immediate"\ncutover = "pinned"\npin_max_age = "8d"\n',
      'app.toml:6: deploy.pin_max_age: must be a duration from 1s to 168h with its unit (ms, s, m or h), for example pin_max_age = "10m"; found "8d"',
    ],
  ])("refuse what makes no sense, and say what to write: %s", (text, message) => {
    expect(refusalsOf(required + text)).toEqual([message]);
  });

  it("lets nothing be atomic that no gate could close", () => {
    const atomic = '[deploy]\nstrategy = "immediate"\ncutover = "atomic"\n';
    const app = 'name = "hello"\ncommand = ["node", "server.js"]\n';
    expect(parseAppFile("app.toml", app + atomic)).toMatchObject({
      value: { deploy: { strategy: "immediate", cutover: "atomic" } },
    });
    const parsed = parseAppFile("app.toml", `${app}gate = "off"\n${atomic}`);
    expect(parsed.ok ? [] : parsed.error.map(({ key, message }) => `${key}: ${message}`)).toEqual([
      'deploy.cutover: is "atomic", which needs a gate that closes the old VMs: remove it, or gate = "off"; found "atomic"',
    ]);
  });
});
