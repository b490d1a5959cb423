import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { HostCordon } from "./host-cordon.ts";

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "cordon-"));
});
afterEach(() => rmSync(folder, { recursive: true }));

describe("HostCordon", () => {
  it("is off at first, and what a person said is known to the next agent", async () => {
    const cordon = await HostCordon.open(folder);
    expect(cordon.use).toBe("open");
    for (const use of ["cordoned", "draining", "cordoned", "open"] as const) {
      await cordon.set(use);
      expect((await HostCordon.open(folder)).use).toBe(use);
    }
  });

  it("stays as it was when the disk takes nothing", async () => {
    const cordon = await HostCordon.open(join(folder, "gone"));
    await expect(cordon.set("draining")).rejects.toThrow();
    expect(cordon.use).toBe("open");
  });
});
