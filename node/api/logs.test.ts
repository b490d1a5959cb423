import { appendFileSync, mkdtempSync, rmSync, truncateSync, unlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import fc from "fast-check";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { readLog } from "./logs.ts";

let folder: string;
let file: string;
beforeEach(() => {
  folder = mkdtempSync(path.join(tmpdir(), "grapevine-logs-"));
  file = path.join(folder, "output.log");
});
afterEach(() => rmSync(folder, { recursive: true }));

async function read(lines: number): Promise<string> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of readLog(file, { lines, follow: false }, new AbortController().signal))
    chunks.push(chunk);
  return Buffer.concat(chunks).toString();
}

function follow(lines: number): { next: () => Promise<string>; stop: AbortController } {
  const stop = new AbortController();
  const log = readLog(file, { lines, follow: true }, stop.signal);
  const next = async () => {
    const { value, done } = await log.next();
    return done === true ? "end" : Buffer.from(value).toString();
  };
  return { next, stop };
}

describe("readLog()", () => {
  it("gives the last lines, as an obvious one would", async () => {
    const text = fc.array(fc.constantFrom("\n", "a", "bc", "\n\n", "x".repeat(40_000)), { maxLength: 12 });
    await fc.assert(
      fc.asyncProperty(text, fc.nat(6), async (parts, lines) => {
        const whole = parts.join("");
        writeFileSync(file, whole);
        const all = whole.match(/[^\n]*\n|[^\n]+$/g) ?? [];
        expect(await read(lines)).toBe(lines === 0 ? "" : all.slice(-lines).join(""));
      }),
      { numRuns: 200 },
    );
  });

  it("follows what is appended, starts anew in a file that was cut, and ends with the file", async () => {
    writeFileSync(file, "old\n");
    const { next } = follow(1);
    expect(await next()).toBe("old\n");
    const appended = next();
    appendFileSync(file, "new\n");
    expect(await appended).toBe("new\n");
    const cut = next();
    truncateSync(file);
    appendFileSync(file, "1\n");
    expect(await cut).toBe("1\n");
    const end = next();
    unlinkSync(file);
    expect(await end).toBe("end");
  });

  it("ends at once when nobody reads any more", async () => {
    writeFileSync(file, "");
    const { next, stop } = follow(10);
    const end = next();
    stop.abort();
    expect(await end).toBe("end");
  });

  it("rejects for a file that is not there", async () => {
    await expect(read(1)).rejects.toThrow("ENOENT");
  });
});
