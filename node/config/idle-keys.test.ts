import { describe, expect, it } from "vitest";
import { parseAppFile } from "./app-file.ts";
import { refusalsOf } from "./testing/refusals.ts";

const HEAD = 'name = "hello"\ncommand = ["node", "server.js"]\n';

describe("idle keys", () => {
  it.each([
    ["min_running = 0\n", 300_000],
    ['min_running = 0\nidle_after = "2s"\n', 2_000],
  ])("%s lets it sleep", (keys, afterMs) => {
    expect(parseAppFile("app.toml", HEAD + keys)).toMatchObject({ value: { idle: { afterMs } } });
  });

  it("are none of most apps", () => {
    expect(parseAppFile("app.toml", HEAD)).toMatchObject({ value: { name: "hello" } });
    expect(parseAppFile("app.toml", HEAD)).not.toHaveProperty("value.idle");
  });

  it.each([
    [
      "min_running = 1\n",
      "app.toml:3: min_running: must be 0, with which the app sleeps while nobody asks for it; remove it, and count VMs run all the time; found 1",
    ],
    [
      'idle_after = "5m"\n',
      'app.toml:3: idle_after: is of min_running = 0 alone: remove it, or write min_running = 0; found "5m"',
    ],
    [
      'min_running = 0\nidle_after = "10ms"\n',
      'app.toml:4: idle_after: must be a duration from 1s to 168h with its unit (ms, s, m or h), for example idle_after = "5m"; found "10ms"',
    ],
    [
      'min_running = 0\ngate = "off"\n',
      'app.toml:4: gate: is "off", and min_running = 0 needs a gate that closes the last VM before it is stopped: remove it, or min_running = 0; found "off"',
    ],
  ])("%s is refused", (keys, message) => {
    expect(refusalsOf(HEAD + keys)).toEqual([message]);
  });
});
