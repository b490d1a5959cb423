import { closeSync, mkdtempSync, openSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pino } from "pino";
import { describe, expect, it } from "vitest";
import { logOutput } from "./log-output.ts";

describe("logOutput()", () => {
  it("has written a line, whole, when the logger's call returns", () => {
    const folder = mkdtempSync(join(tmpdir(), "log-output-"));
    const file = join(folder, "log");
    const fd = openSync(file, "a");
    const text = "ä".repeat(100_000);
    pino({}, logOutput(fd)).info(text);
    expect(JSON.parse(readFileSync(file, "utf8"))).toMatchObject({ msg: text });
    closeSync(fd);
    rmSync(folder, { recursive: true });
  });

  it.runIf(process.platform === "linux")("drops what cannot be written, a fatal line too", () => {
    const fd = openSync("/dev/full", "w");
    const logger = pino({}, logOutput(fd));
    logger.info("a");
    logger.fatal("b");
    closeSync(fd);
  });

  it("keeps the last lines within a bound, also those that could not be written", () => {
    const fd = openSync("/dev/null", "r");
    const output = logOutput(fd, 100);
    for (let at = 0; at < 50; at += 1) output.write(`line ${at}\n`);
    output.write(`${"x".repeat(200)}\n`);
    output.write("last ä\n");
    closeSync(fd);
    const lines = output.recent().trimEnd().split("\n");
    expect(Buffer.byteLength(output.recent())).toBeLessThanOrEqual(100);
    expect(lines.slice(-3)).toEqual(["line 48", "line 49", "last ä"]);
    expect(lines.length).toBeGreaterThan(5);
  });
});
