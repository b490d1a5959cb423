import { describe, expect, it } from "vitest";
import { parseAppFile } from "./app-file.ts";

const required = 'name = "hello"\ncommand = ["node", "server.js"]\n';

function parsed(text: string) {
  const read = parseAppFile("app.toml", required + text);
  if (!read.ok) throw new Error(read.error.map(({ key, message }) => `${key} ${message}`).join("; "));
  return read.value;
}

const volume = (name: string, path: string) => `[[volumes]]\nname = "${name}"\npath = "${path}"\n`;

describe("[[volumes]]", () => {
  it("make an app exclusive", () => {
    expect(parsed(volume("data", "var/data"))).toMatchObject({
      volumes: [{ name: "data", path: "var/data" }],
      deploy: { strategy: "handoff" },
    });
  });

  it.each([
    [volume("data", "/var/data"), /volumes.*path.* must be a path below the app's folder.*path = "data"/],
    [volume("data", "../data"), /must be a path below the app's folder/],
    [volume("data", ""), /must be a path below the app's folder/],
    [volume("Data", "data"), /must be lower-case letters, digits and inner hyphens/],
    ['[[volumes]]\nname = "data"', /volumes.*path/],
    [volume("data", "data") + volume("data", "other"), /volumes has name "data" twice/],
    [volume("data", "data") + volume("other", "data"), /volumes has path "data" twice/],
    [
      volume("data", "data") + volume("other", "data/other"),
      /volumes has path "data\/other", which is inside of "data", another volume/,
    ],
    [`count = 2\n${volume("data", "data")}`, /count is 2, .*write count = 1/],
    [`exclusive = false\n${volume("data", "data")}`, /exclusive is false.*\[\[volumes\]\] is exclusive/],
    [
      `${volume("data", "data")}[deploy]\nstrategy = "rolling"`,
      /deploy.strategy is "rolling".*\[\[volumes\]\]/,
    ],
    [
      Array.from({ length: 9 }, (_none, index) => volume(`v${index}`, `v${index}`)).join(""),
      /volumes must be at most 8/,
    ],
    ['volumes = "data"', /volumes must be/],
  ])("refuses %j", (text, expected) => expect(() => parsed(text)).toThrow(expected));
});
