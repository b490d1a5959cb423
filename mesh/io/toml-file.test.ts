import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import fc from "fast-check";
import { afterAll, describe, expect, it } from "vitest";
import { type ZodType, z } from "zod";
import { describeDuration, parseDuration } from "../core/duration.ts";
import { nearestWord } from "../core/nearest-word.ts";
import { describeConfigErrors, durationShape, formerKey, parseToml, readTomlFile } from "./toml-file.ts";

const countText = "must be a whole number from 1 to 100, for example count = 2";
const example: ZodType<object> = z.strictObject({
  count: z.int(countText).min(1, countText).max(100, countText),
  deploy: z
    .strictObject({
      strategy: z.enum(["rolling"], "must be one of rolling").default("rolling"),
      wait_timeout: durationShape({ minMs: 1_000, maxMs: 3_600_000, example: 'wait_timeout = "5m"' }).default(
        5,
      ),
    })
    .prefault({}),
  checks: z.array(z.strictObject({ path: z.string("must be a path") })).default([]),
  zones: formerKey("is not set here any more: `grapevine zones` shows them"),
});

function errorsOf(text: string): string {
  const parsed = parseToml("app.toml", text, example);
  return parsed.ok ? "no errors" : describeConfigErrors(parsed.error);
}

const folder = mkdtempSync(path.join(tmpdir(), "grapevine-toml-"));
afterAll(() => rmSync(folder, { recursive: true }));

describe("parseToml()", () => {
  it("names file, line, key and what to write instead, and what it found", () => {
    expect(errorsOf('\n# a comment\ncount = "two"\n')).toBe(
      'app.toml:3: count: must be a whole number from 1 to 100, for example count = 2; found "two"',
    );
  });

  it("suggests the key that was probably meant", () => {
    expect(errorsOf('count = 1\n[deploy]\nstratgy = "rolling"\n')).toBe(
      "app.toml:3: deploy.stratgy: unknown key `stratgy`: did you mean `strategy`?",
    );
  });

  it("lists the keys there are when none is near", () => {
    expect(errorsOf("count = 1\nzebra = 1\n")).toBe(
      "app.toml:2: zebra: unknown key `zebra`: remove it, or write one of count, deploy, checks",
    );
  });

  it("says what has taken the place of a key that there was once, and suggests it to nobody", () => {
    expect(errorsOf('count = 1\nzones = ["a"]\n')).toBe(
      "app.toml:2: zones: is not set here any more: `grapevine zones` shows them",
    );
    expect(errorsOf("count = 1\nzone = 1\n")).toBe(
      "app.toml:2: zone: unknown key `zone`: remove it, or write one of count, deploy, checks",
    );
  });

  it("tells every mistake at once, by line", () => {
    expect(errorsOf('[[checks]]\npath = 1\n[[checks]]\npaht = "/"\n').split("\n")).toEqual([
      "app.toml:1: count: is missing; it must be a whole number from 1 to 100, for example count = 2",
      "app.toml:2: checks[0].path: must be a path; found 1",
      "app.toml:3: checks[1].path: is missing; it must be a path",
      "app.toml:4: checks[1].paht: unknown key `paht`: did you mean `path`?",
    ]);
  });

  it("finds the line inside inline tables, dotted keys and arrays over several lines", () => {
    expect(errorsOf("count = 1\ndeploy.strategy = 1\n")).toContain("app.toml:2: deploy.strategy:");
    expect(errorsOf("count = 1\ndeploy = { strategy = 1 }\n")).toContain("app.toml:2: deploy.strategy:");
    expect(errorsOf('count = 1\nchecks = [\n  { path = "/" },\n  { path = 2 },\n]\n')).toContain(
      "app.toml:4: checks[1].path:",
    );
  });

  it("asks for the unit of a duration", () => {
    expect(errorsOf("count = 1\n[deploy]\nwait_timeout = 5\n")).toBe(
      "app.toml:3: deploy.wait_timeout: must be a duration from 1s to 1h with its unit (ms, s, m or h), " +
        'for example wait_timeout = "5m"; found 5',
    );
  });

  it("cuts what it found", () => {
    expect(errorsOf(`count = "${"x".repeat(5_000)}"`).length).toBeLessThan(200);
  });

  it.each([
    ["count = \n", "app.toml:1: not valid TOML: unspecified values are invalid:"],
    ["count = 1\ncount = 2\n", "app.toml:2: this key or table is there twice: keep one of them"],
    ['count = "1\n', "app.toml:1: not valid TOML: unterminated string constant:"],
    ["[deploy\n", "app.toml:1: not valid TOML:"],
    ["count: 1\n", "app.toml:1: not valid TOML:"],
    ["\0", "app.toml:1: not valid TOML:"],
  ])("places the syntax error in %j", (text, expected) => {
    expect(errorsOf(text)).toContain(expected);
  });

  it("refuses a key that would change its table's prototype", () => {
    expect(errorsOf('"__proto__" = { count = 1 }\n')).toBe("app.toml:1: __proto__: unknown key");
    expect(errorsOf("count = 1\n[deploy.__proto__]\nstrategy = 1\n")).toContain("app.toml:2: __proto__");
  });

  it("survives nesting that exhausts the stack", () => {
    expect(errorsOf(`count = ${"[".repeat(50_000)}${"]".repeat(50_000)}`)).toContain("app.toml:1:");
  });

  it("never throws, whatever the text", () => {
    const piece = fc.constantFrom(
      "[",
      "]",
      "{",
      "}",
      "=",
      '"',
      "'",
      ".",
      ",",
      "\n",
      "a",
      "1",
      "#",
      "-",
      "\\",
      "count",
    );
    fc.assert(
      fc.property(fc.array(fc.oneof(piece, fc.string()), { maxLength: 30 }), (pieces) => {
        const parsed = parseToml("f", pieces.join(""), example);
        return parsed.ok || parsed.error.every(({ line }) => line >= 1);
      }),
      { numRuns: 2_000 },
    );
  });
});

describe("readTomlFile()", () => {
  it("reads a file", () => {
    const file = path.join(folder, "good.toml");
    writeFileSync(file, "count = 3\n");
    expect(readTomlFile(file, example)).toMatchObject({ ok: true, value: { count: 3 } });
  });

  it.each([
    ["missing.toml", undefined, "no such file: check the path"],
    [
      "large.toml",
      Buffer.alloc(1024 * 1024 + 1, "#"),
      "has 1048577 bytes; a configuration has at most 1048576",
    ],
    ["binary.toml", Buffer.from([0xff, 0xfe, 0x00]), "is not UTF-8 text"],
    [".", undefined, "is not a file: give the path of a TOML file"],
  ])("says what is wrong with %s", (name, content, expected) => {
    const file = path.join(folder, name);
    if (content !== undefined) writeFileSync(file, content);
    const read = readTomlFile(file, example);
    expect(read.ok ? "" : describeConfigErrors(read.error)).toContain(`${file}:1: ${expected}`);
  });
});

describe("durations", () => {
  it.each([
    ["500ms", 500],
    ["30s", 30_000],
    ["5m", 300_000],
    ["1h", 3_600_000],
    ["0s", 0],
    ["5", undefined],
    ["5 s", undefined],
    ["-5s", undefined],
    ["1.5s", undefined],
    ["5d", undefined],
  ])("parseDuration(%j) is %s", (text, expected) => expect(parseDuration(text)).toBe(expected));

  it("describeDuration() is read back by parseDuration()", () => {
    fc.assert(fc.property(fc.nat(10_000_000), (ms) => parseDuration(describeDuration(ms)) === ms));
  });
});

describe("nearestWord()", () => {
  it.each([
    ["cuont", "count"],
    ["Count", "count"],
    ["grace", "grace_period"],
    ["x", undefined],
  ])("of %j is %s", (word, expected) => {
    expect(nearestWord(word, ["count", "command", "grace_period"])).toBe(expected);
  });
});
